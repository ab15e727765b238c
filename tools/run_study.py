"""Compare configs over several seeds: python tools/run_study.py table3 --seeds 0 1 2"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
import signal
from concurrent.futures import Executor
from pathlib import Path
from typing import NoReturn

from mmengine.device import get_device
from rich.progress import MofNCompleteColumn, Progress

from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.study import DevicePool, RayPool, StudyRunner, load_study, plan_runs
from mmseg_pacbal.apps.study.execution import StudyPaths
from mmseg_pacbal.apps.study.report import WRITTEN, write_report
from mmseg_pacbal.apps.study.runner import device_groups
from mmseg_pacbal.openmmlab.engine.hooks.preemption_hook import SIGNALS
from mmseg_pacbal.openmmlab.engine.processes import STOPPED


def parse_args() -> argparse.Namespace:
    p = argparse.ArgumentParser(description='Train and test the rows of a study, seed by seed')
    p.add_argument('study', help='name of a study (table1, table2, table3, ...) or its YAML file')
    p.add_argument(
        '--dataset',
        default='voc',
        help='voc (default), camvid, camvid_lite0, camvid_mini, or folder_lite0: your own data',
    )
    p.add_argument('--seeds', type=int, nargs='+', help="default: the study's own, mostly 0 1 2")
    p.add_argument('--rows', nargs='+', help='only these rows; default: all')
    p.add_argument(
        '--gpus',
        type=int,
        nargs='+',
        help='GPUs of this machine, one run on each; a GPU named twice has two; default: one run',
    )
    p.add_argument(
        '--processes',
        type=int,
        default=1,
        help='processes of a run, each with its own GPU and batch; default: 1',
    )
    p.add_argument(
        '--ray',
        metavar='ADDRESS',
        help='run on a Ray cluster: auto finds one, local starts one here, HOST:PORT names one',
    )
    p.add_argument('--cpus', type=int, default=1, help='CPUs of a run on the Ray cluster')
    p.add_argument('--work-dir', help='default: work_dirs/studies/STUDY/DATASET')
    p.add_argument('--results', help='default: results/STUDY/DATASET')
    cli.add_overwrite(p)
    p.add_argument('--report', action='store_true', help='train nothing: write table and plot')
    cli.add_amp(p)
    cli.add_common(p)
    return p.parse_args()


def main(args: argparse.Namespace) -> None:
    study = load_study(args.study, args.dataset)
    place = Path(study.name, study.dataset)
    results = Path(args.results or Path('results') / place).absolute()
    if not args.report:
        if not any(results.glob('*.json')):  # else its tables are those of an earlier report
            cli.check_outputs(args, [results / name for name in WRITTEN], option='--results')
        work_dir = Path(args.work_dir or Path('work_dirs/studies') / place).absolute()
        tools = Path(__file__).resolve().parent
        run_all(args, StudyPaths(study, work_dir, results, tools, Path.cwd()))
    print(f'{write_report(study, results, args.seeds)}\nTables and plot: {results}')


def run_all(args: argparse.Namespace, paths: StudyPaths) -> None:
    study, (pool, device) = paths.study, open_pool(args)
    rows, seeds = args.rows or study.rows, args.seeds or study.seeds
    amp = device if args.amp else None
    runs = plan_runs(study, rows, seeds, args.cfg_options or {}, args.processes, amp)
    runner = StudyRunner(runs, paths, pool)
    for number in SIGNALS:  # after Ray has set its own
        signal.signal(number, stop)
    try:
        watch(runner)
    finally:
        runner.stop()
    if runner.failed:
        raise RuntimeError(
            f'{len(runner.failed)} of {len(runs)} runs failed, the first {runner.failed[0]}'
        )


def open_pool(args: argparse.Namespace) -> tuple[Executor, str]:
    """What executes the runs, and the kind of device on which it does."""
    if args.ray is None:
        return DevicePool(device_groups(args.gpus, args.processes)), get_device()
    pool = RayPool(args.ray, args.processes, args.cpus)
    return pool, 'cuda' if pool.gpus else 'cpu'


def stop(number: int, frame: object) -> NoReturn:
    """React to a scheduler's signal: end, so that the same command continues later."""
    for other in SIGNALS:  # ignore further ones; not by SIG_IGN, which tools would inherit
        signal.signal(other, lambda *_: None)
    raise SystemExit(STOPPED)


def watch(runner: StudyRunner) -> None:
    """Show the iterations of the whole study until all runs have ended."""
    total = sum(run.iterations for run in runner.runs)
    shown = -1
    runner.start()
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        bar = progress.add_task('Iterations', total=total, completed=runner.iterations_done())
        working = True
        while working:
            working = runner.wait(seconds=1)  # before counting, so that the last count is complete
            progress.update(bar, completed=runner.iterations_done())
            finished = runner.runs_finished()
            if finished != shown:
                progress.console.print(f'{finished} of {len(runner.runs)} runs finished')
                shown = finished


if __name__ == '__main__':
    cli.run(main, parse_args())
