"""What ``tools/run_study.py`` and ``pacbal study`` do."""

import argparse
import signal
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from ...configs import heads, tools_folder, walk
from ...markdown import to_markdown
from ...openmmlab.engine.processes import SIGNALS, STOPPED
from ...openmmlab.feature_checks import explained_heads
from ...openmmlab.terminal import shown_progress
from .. import cli
from .data import examine
from .execution import StudyPaths
from .plan import Run, Study, decisive_settings, load_study, plan_runs
from .records import readable_records
from .report import WRITTEN, write_report
from .runner import DevicePool, RayPool, StudyRunner, device_groups


def main(args: argparse.Namespace) -> None:
    study = load_study(args.study, args.dataset)
    place = Path(study.name, study.dataset)
    results = Path(args.results or Path('results') / place).absolute()
    work_dir = Path(args.work_dir or Path('work_dirs/studies') / place).absolute()
    paths = StudyPaths(study, work_dir, results, tools_folder(), Path.cwd())
    if args.dry_run:
        runs = planned(args, study, get_device() if args.amp else None)
        base = next((run for run in runs if run.row == study.baseline), runs[0])
        print(list_runs(runs, paths))
        print('Whether a record is of your data is compared when the study runs.\n')
        print(list_settings(runs, base))
        return
    if not args.report:
        if not any(results.glob('*.json')):  # else its tables are those of an earlier report
            cli.check_outputs(args, [results / name for name in WRITTEN], option='--results')
        run_all(args, paths)
    print(f'{write_report(study, results, args.seeds)}\nTables and plot: {results}')


def run_all(args: argparse.Namespace, paths: StudyPaths) -> None:
    pool, device = open_pool(args)
    runs = examine(planned(args, paths.study, device if args.amp else None))
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


def planned(args: argparse.Namespace, study: Study, amp: str | None) -> list[Run]:
    rows, seeds = args.rows or study.rows, args.seeds or study.seeds
    runs = plan_runs(study, rows, seeds, args.cfg_options or {}, args.processes, amp)
    for run in {run.row: run for run in runs}.values():
        try:
            build_heads(run.cfg)
        except Exception as error:  # whatever a head of the user's raises
            raise ValueError(f'row {run.row}: {error}') from error
    return runs


def build_heads(cfg: Config) -> None:
    """Build the heads of a config, so that what a row sets wrongly is told before anything runs.

    Two classes and channels stand for numbers that depend on data and backbone.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    with warnings.catch_warnings(), explained_heads(cfg):
        warnings.simplefilter('ignore')  # each training gives them
        for _, head in heads(cfg):
            numbers = {k: 2 for k in ('num_classes', 'in_channels') if head.get(k, 2) is None}
            MODELS.build({**head, **numbers})


def list_runs(runs: list[Run], paths: StudyPaths) -> str:
    """A table of the runs, with what is there of each."""
    records = readable_records(paths.sibling_records())

    def state(run: Run) -> str:
        if paths.finished(run):
            return 'finished'
        if record := paths.reusable(run, records):
            return f'as in {record.get("study", "another study")}'
        return f'{paths.iteration(run):,} iterations done'

    cells = [
        [run.row, str(run.seed), Path(run.cfg.filename).name, f'{run.iterations:,}', state(run)]
        for run in runs
    ]
    return to_markdown(['row', 'seed', 'config', 'iterations', 'state'], cells, left=1)


def list_settings(runs: list[Run], base: Run) -> str:
    """A line for each row with its settings that ``base`` does not have, of the same seed."""

    def settings(run: Run) -> dict[str, object]:
        nodes = walk(decisive_settings(run.cfg))
        leaves = ((p, k, v) for p, node in nodes for k, v in node.items() if not any(walk(v)))
        return {f'{path}.{key}'.lstrip('.'): value for path, key, value in leaves}

    old, lines = settings(base), []
    for run in [run for run in runs if run.seed == base.seed and run.row != base.row]:
        new = settings(run)
        differ = [f'{k}={v!r}' for k, v in new.items() if k not in old or old[k] != v]
        gone = [f'without {k}' for k in old if k not in new]
        lines.append(f'{run.row}, unlike {base.row}: {", ".join(differ + gone)}')
    return '\n'.join(lines)


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
    runner.start()
    begin, before, shown = time.monotonic(), runner.iterations_done(), runner.runs_finished()
    with shown_progress('Iterations', total) as tell:
        tell(before)
        working = True
        while working:
            working = runner.wait(seconds=1)  # before counting, so that the last count is complete
            done, finished = runner.iterations_done(), runner.runs_finished()
            tell(done)
            if finished != shown:
                left = runner.iterations_left()
                seconds = (time.monotonic() - begin) * left / max(1, done - before)
                more = f', {timedelta(seconds=round(seconds))} left for the others' if left else ''
                print(f'{finished} of {len(runner.runs)} runs finished{more}', flush=True)
                shown = finished
