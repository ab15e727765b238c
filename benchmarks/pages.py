"""Write every generated block of the docs, and the picture of the cost of rates, from the records.

python -m benchmarks.pages
"""

from collections.abc import Callable
from types import ModuleType

from benchmarks import (
    boundary_metric,
    boundary_weight,
    busy_cores,
    cost_curves,
    earlier_build,
    export_runtimes,
    losses,
    model_zoo,
    pac_head,
    pyramid_atrous_conv,
    quantised_layer,
    startup,
    whole_models,
)
from benchmarks.records import RESULTS, ROOT, load, on_cpus, read
from mmseg_pacbal.apps.error_summary import error_table
from mmseg_pacbal.markdown import fill, to_markdown

COSTS = dict(
    pyramid_atrous_conv=pyramid_atrous_conv,
    pac_head=pac_head,
    boundary_weight=boundary_weight,
    boundary_metric=boundary_metric,
    losses=losses,
)
PICTURE = ROOT / 'docs' / 'images' / 'cost_of_rates.png'
# What the page of results shows of the table of errors: the rest decides nothing more.
SHOWN_ERRORS = (
    *('| mIoU | near', '| mIoU | interior', '| mIoU | small', '| mIoU | thin'),
    *('| errors | near', '| errors | interior', '| ECE |'),
)


def main() -> None:
    texts = {page: filled(page, (ROOT / page).read_text()) for page in PAGES}
    for page, text in texts.items():
        (ROOT / page).write_text(text)
        print(f'written to {page}')
    cost_curves.picture(load('cost_curves')).savefig(PICTURE, dpi=110)


def filled(page: str, text: str) -> str:
    """The text of a page with its generated blocks replaced."""
    return fill(text, PAGES[page]())


def costs() -> dict[str, str]:
    rows = [
        [what, measured, machine(record), f'`python -m benchmarks.{name}`']
        for name, subject in COSTS.items()
        for record in on_cpus(name)
        for what, measured in subject.summary(record).items()
    ]
    return dict(
        benchmarks=to_markdown(['what', 'measured', 'on', 'by'], rows, left=4),
        gpu='`pac_head`\n\n' + pac_head.table(read(RESULTS / 'pac_head-nvidia-h200.json')),
        rates=cost_curves.table(load('cost_curves')),
        earlier=earlier_build.table(load('earlier_build')),
        startup=startup.table(load('startup')),
        busy_cores=busy_cores.table(load('busy_cores')),
    )


def machine(record: dict) -> str:
    """Such as AMD EPYC x1 at commit 8e5bec9."""
    where = record['environment']
    return f'{where["machine"]} at commit {where["commit"]}'


def tables(subject: ModuleType, name: str) -> str:
    return '\n\n'.join(map(subject.table, on_cpus(name)))


def deployment() -> dict[str, str]:
    """A table for each record, since few environments hold every runtime."""
    paths = sorted(RESULTS.glob('export_runtimes-*'))
    return dict(
        runtimes='\n\n'.join(export_runtimes.table(read(path)) for path in paths),
        int8=quantised_layer.table(load('quantised_layer')),
        models=whole_models.table(load('whole_models')),
    )


def studies(*names: str) -> dict[str, str]:
    """The first table of each study's report."""
    reports = {name: (ROOT / 'results' / name / 'table.md').read_text() for name in names}
    return {name: report.partition('\n\n')[0] for name, report in reports.items()}


def results() -> dict[str, str]:
    main = studies('table3/camvid_mini', 'table3/camvid_lite0', 'rival_losses/camvid_mini')
    folders = sorted((ROOT / 'results' / 'errors' / 'camvid_lite0').iterdir())
    head, rule, *lines = error_table(folders).splitlines()
    kept = [line for line in lines if line.startswith(SHOWN_ERRORS)]
    return dict(main, errors='\n'.join([head, rule, *kept]))


def study_records() -> dict[str, str]:
    joint = ('joint_losses/camvid_mini', 'joint_losses_beside_lovasz/camvid_mini')
    pretrained = ('pretrained_losses', 'pretrained_confirmation', 'pretrained_long')
    clothes = ('table3/folder_lite0', 'folder_losses/folder_lite0')
    on_camvid = [f'{name}/camvid_lite0' for name in pretrained]
    return studies(*joint, 'accumulation/camvid_mini', *on_camvid, *clothes)


PAGES: dict[str, Callable[[], dict[str, str]]] = {
    'docs/benchmarks.md': costs,
    'docs/deploy.md': deployment,
    'docs/pyramid_atrous_conv.md': lambda: dict(
        pyramid=tables(pyramid_atrous_conv, 'pyramid_atrous_conv'),
        head=tables(pac_head, 'pac_head'),
    ),
    'docs/training_costs.md': lambda: dict(losses=losses.table(load('losses'))),
    'docs/results.md': results,
    'docs/study_records.md': study_records,
    'configs/README.md': model_zoo.marked_tables,
}


if __name__ == '__main__':
    main()
