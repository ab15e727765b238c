"""Compare configs over several seeds: python tools/run_study.py table3 --seeds 0 1 2"""

import argparse
import time
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress

from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.study import (
    REPORTED,
    Study,
    StudyRunner,
    full_report,
    load_study,
    metrics_of,
    plan_runs,
    read_records,
    study_figure,
    summarise,
    to_csv,
)


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser(description='Train and test the rows of a study, seed by seed')
    p.add_argument('study', help='name of a study (table1, table2, table3, ...) or its YAML file')
    p.add_argument(
        '--dataset', default='voc', help='voc (default), camvid, camvid_lite0 or camvid_mini'
    )
    p.add_argument('--seeds', type=int, nargs='+', help="default: the study's own, mostly 0 1 2")
    p.add_argument('--rows', nargs='+', help='only these rows; default: all')
    p.add_argument('--gpus', type=int, nargs='+', help='GPUs that take a run each; default: one')
    p.add_argument('--work-dir', help='default: work_dirs/studies/STUDY/DATASET')
    p.add_argument('--results', help='default: results/STUDY/DATASET')
    p.add_argument('--report', action='store_true', help='train nothing: write table and plot')
    cli.add_common(p)
    return p.parse_args()


def main(args: argparse.Namespace) -> None:
    study = load_study(args.study, args.dataset)
    place = Path(study.name, study.dataset)
    results = Path(args.results or Path('results') / place)
    if not args.report:
        runs = plan_runs(
            study, args.rows or study.rows, args.seeds or study.seeds, args.cfg_options or {}
        )
        work_dir = Path(args.work_dir or Path('work_dirs/studies') / place)
        tools = Path(__file__).resolve().parent
        runner = StudyRunner(study, runs, work_dir, results, tools, args.gpus or [None])
        watch(runner)
        if runner.failed:
            raise RuntimeError(
                f'{len(runner.failed)} of {len(runs)} runs failed, the first {runner.failed[0]}'
            )
    report(study, results, args.seeds)


def watch(runner: StudyRunner) -> None:
    """Show the iterations of the whole study until all runs have ended."""
    total = sum(run.iterations for run in runner.runs)
    shown = -1
    runner.start()
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        bar = progress.add_task('Iterations', total=total, completed=runner.iterations_done())
        working = True
        while working:
            time.sleep(1)
            working = runner.working()  # before counting, so that the last count is complete
            progress.update(bar, completed=runner.iterations_done())
            finished = sum(runner.record_path(run).exists() for run in runner.runs)
            if finished != shown:
                progress.console.print(f'{finished} of {len(runner.runs)} runs finished')
                shown = finished


def report(study: Study, results: Path, seeds: list[int] | None) -> None:
    """Write ``table.md``, ``table.csv`` and ``plot.png`` beside the records, and show the table."""
    records = read_records(results)
    if not records:
        raise FileNotFoundError(f'{results} holds no finished run; run the study without --report')
    summaries = {metric: summarise(study, records, metric) for metric in metrics_of(records)}
    plotted = {metric: summaries[metric] for metric in REPORTED if metric in summaries}
    text = full_report(study, records, seeds or {*study.seeds, *(r['seed'] for r in records)})
    (results / 'table.md').write_text(text)
    (results / 'table.csv').write_text(to_csv([s for rows in summaries.values() for s in rows]))
    study_figure(plotted, study.baseline).savefig(results / 'plot.png', dpi=150)
    print(f'{text}\nTables and plot: {results}')


if __name__ == '__main__':
    cli.run(main, parse_args())
