"""Write every generated block of the docs, and the index of the model zoo, from the records.

python -m benchmarks.pages
"""

from collections.abc import Callable

from benchmarks import (
    boundary_metric,
    boundary_weight,
    cost_curves_tables,
    deployment,
    gather_kernel,
    losses,
    model_zoo_tables,
    pac_head,
    pyramid_atrous_conv,
    pyramid_atrous_conv_grid,
    training_step,
)
from benchmarks.metafile import metafile
from benchmarks.records import RESULTS, ROOT, load, read
from mmseg_pacbal.apps.error_summary import error_table
from mmseg_pacbal.markdown import fill, to_markdown

COSTS = (
    pyramid_atrous_conv,
    pac_head,
    training_step,
    boundary_weight,
    boundary_metric,
    losses,
)

ON_A_GPU = (pac_head, training_step, boundary_weight, gather_kernel)


def main() -> None:
    texts = {page: filled(page, (ROOT / page).read_text()) for page in PAGES}
    for page, text in {**texts, 'configs/metafile.yml': metafile()}.items():
        (ROOT / page).write_text(text)
        print(f'written to {page}')
    if [*RESULTS.glob('cost_curves-amd-epyc-x*')]:
        cost_curves_tables.draw_pictures()


def filled(page: str, text: str) -> str:
    """The text of a page with its generated blocks replaced."""
    return fill(text, PAGES[page]())


def costs() -> str:
    rows = []
    for subject in COSTS:
        name = subject.__name__.rpartition('.')[2]
        for what, measured in subject.summary(load(name)).items():
            rows.append([what, measured, f'`python -m benchmarks.{name}`'])
    return to_markdown(['what', 'measured', 'by'], rows, left=3)


def of_epyc(name: str, **tables: Callable[[dict], str]) -> dict[str, str]:
    """Blocks of what was measured on that machine only."""
    if not [*RESULTS.glob(f'{name}-amd-epyc-x*')]:
        return dict.fromkeys(tables, 'No run is on record yet.')
    record = load(name, 'amd-epyc')
    return {block: table(record) for block, table in tables.items()}


def all_costs() -> dict[str, str]:
    curves = of_epyc('cost_curves', curves=shown, rates=cost_curves_tables.rates_table)
    return dict(benchmarks=costs(), gpu=on_a_gpu(), **curves)


def on_a_gpu() -> str:
    tables = {s.__name__.rpartition('.')[2]: s.table for s in ON_A_GPU}
    return '\n\n'.join(
        f'`{name}`\n\n{table(read(RESULTS / f"{name}-nvidia-h200.json"))}'
        for name, table in tables.items()
    )


def shown(record: dict) -> str:
    return f'{cost_curves_tables.LINK}\n\n{cost_curves_tables.table(record)}'


def pyramid() -> dict[str, str]:
    record = load('pyramid_atrous_conv')
    # The one record that has this form is of another machine.
    plain = load('pyramid_atrous_conv', 'amd-epyc')
    # Of one thread and of two.
    deployed = [read(RESULTS / f'deployment-amd-epyc-x{threads}.json') for threads in (1, 2)]
    return dict(
        deployment='\n\n'.join(map(deployment.table, deployed)),
        model=deployment.model_table(deployed[0]),
        pyramid=pyramid_atrous_conv.table(record),
        plain=pyramid_atrous_conv.autograd_table(plain),
        accuracy=pyramid_atrous_conv.accuracy_table(record),
        grid=pyramid_atrous_conv_grid.table(load('pyramid_atrous_conv_grid')),
        head=pac_head.table(load('pac_head')),
        steps=training_step.table(load('training_step')),
    )


def studies(*names: str) -> dict[str, str]:
    """The first table of each study's report."""
    reports = {name: (ROOT / 'results' / name / 'table.md').read_text() for name in names}
    return {name: report.partition('\n\n')[0] for name, report in reports.items()}


# What the page of results shows of the table of errors: the rest decides nothing more.
SHOWN_ERRORS = (
    *('| mIoU | near', '| mIoU | interior', '| mIoU | small', '| mIoU | thin'),
    *('| errors | near', '| errors | interior', '| ECE |'),
)


def results() -> dict[str, str]:
    main = studies('table3/camvid_mini', 'table3/camvid_lite0', 'rival_losses/camvid_mini')
    head, rule, *lines = error_table(
        sorted((ROOT / 'results' / 'errors' / 'camvid_lite0').iterdir())
    ).splitlines()
    kept = [line for line in lines if line.startswith(SHOWN_ERRORS)]
    return dict(main, errors='\n'.join([head, rule, *kept]))


def study_records() -> dict[str, str]:
    tuning = 'learning_rate', 'rival_losses_tuning', 'loss_scale', 'step_size'
    names = (f'{name}/camvid_mini' for name in (*tuning, 'table1', 'table2'))
    return studies(*names, 'pretrained_long/camvid_lite0')


PAGES: dict[str, Callable[[], dict[str, str]]] = {
    'docs/benchmarks.md': all_costs,
    'docs/cluster.md': lambda: studies('mixed_precision/camvid_mini'),
    'docs/pyramid_atrous_conv.md': pyramid,
    'docs/boundary_weights.md': lambda: dict(map=boundary_weight.table(load('boundary_weight'))),
    'docs/boundary_metrics.md': lambda: dict(metric=boundary_metric.table(load('boundary_metric'))),
    'docs/training_costs.md': lambda: dict(losses=losses.table(load('losses'))),
    'docs/results.md': results,
    'docs/study_records.md': study_records,
    'configs/README.md': model_zoo_tables.blocks,
}


if __name__ == '__main__':
    main()
