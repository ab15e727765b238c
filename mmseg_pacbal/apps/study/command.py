"""What ``tools/run_study.py`` and ``pacbal study`` do."""

import argparse
import signal
from pathlib import Path
from typing import NoReturn

from mmengine.device import get_device

from ...configs import tools_folder
from ...markdown import to_markdown
from ...openmmlab.engine.processes import SIGNALS, STOPPED
from ...openmmlab.terminal import shown_progress
from .. import cli
from .execution import StudyPaths
from .plan import Run, Study, load_study, plan_runs
from .report import WRITTEN, write_report
from .runner import DevicePool, RayPool, StudyRunner, device_groups


def main(args: argparse.Namespace) -> None:
    study = load_study(args.study, args.dataset)
    place = Path(study.name, study.dataset)
    results = Path(args.results or Path('results') / place).absolute()
    if args.dry_run:
        print(list_runs(planned(args, study)))
        return
    if not args.report:
        if not any(results.glob('*.json')):  # else its tables are those of an earlier report
            cli.check_outputs(args, [results / name for name in WRITTEN], option='--results')
        work_dir = Path(args.work_dir or Path('work_dirs/studies') / place).absolute()
        run_all(args, StudyPaths(study, work_dir, results, tools_folder(), Path.cwd()))
    print(f'{write_report(study, results, args.seeds)}\nTables and plot: {results}')


def run_all(args: argparse.Namespace, paths: StudyPaths) -> None:
    pool, device = open_pool(args)
    runs = planned(args, paths.study, device if args.amp else None)
    runner = StudyRunner(runs, paths, pool)
    for number in (*SIGNALS, signal.SIGINT):  # after Ray has set its own
        signal.signal(number, stop)
    try:
        watch(runner)
    finally:
        runner.stop()
    if runner.failed:
        raise RuntimeError(
            f'{len(runner.failed)} of {len(runs)} runs failed, the first {runner.failed[0]}'
        ) from runner.first_error


def planned(args: argparse.Namespace, study: Study, amp: str | None = None) -> list[Run]:
    rows, seeds = args.rows or study.rows, args.seeds or study.seeds
    return plan_runs(study, rows, seeds, args.cfg_options or {}, args.processes, amp)


def list_runs(runs: list[Run]) -> str:
    cells = [
        [run.row, str(run.seed), Path(run.cfg.filename).name, f'{run.iterations:,}'] for run in runs
    ]
    return to_markdown(['row', 'seed', 'config', 'iterations'], cells, left=1)


def open_pool(args: argparse.Namespace) -> tuple[DevicePool | RayPool, str]:
    """What executes the runs, and the kind of device on which it does."""
    if args.ray is None:
        return DevicePool(device_groups(args.gpus, args.processes)), get_device()
    pool = RayPool(args.ray, args.processes, args.cpus)
    return pool, 'cuda' if pool.gpus else 'cpu'


def stop(number: int, frame: object) -> NoReturn:
    """React to a scheduler's signal: end, so that the same command continues later."""
    for other in SIGNALS:  # ignore further ones; not by SIG_IGN, which tools would inherit
        signal.signal(other, lambda *_: None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print('stopping; the same command continues later', flush=True)
    raise SystemExit(STOPPED)


def watch(runner: StudyRunner) -> None:
    """Show the iterations of the whole study until all runs have ended."""
    total = sum(run.iterations for run in runner.runs)
    shown = -1
    runner.start()
    with shown_progress('Iterations', total) as tell:
        tell(runner.iterations_done())
        working = True
        while working:
            working = runner.wait(seconds=1)  # before counting, so that the last count is complete
            tell(runner.iterations_done())
            finished = runner.runs_finished()
            if finished != shown:
                print(f'{finished} of {len(runner.runs)} runs finished', flush=True)
                shown = finished
