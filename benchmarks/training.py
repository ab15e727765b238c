"""Training from files to updated weights: where the time goes, and what our own parts cost.

python -m benchmarks.training    the steps, the loss alone, a sample and a checkpoint
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from benchmarks import training_runs as runs
from benchmarks.harness import blocks, clock, main, quantiles, synchronize
from benchmarks.records import median, source
from benchmarks.stopwatch import Stopwatch
from benchmarks.training_runs import LEAN, OURS, RUNS, STOCK
from mmseg_pacbal.losses import shared_map
from mmseg_pacbal.markdown import to_markdown

OWN_IN_LOADER = (runs.DATA_CHECKS, runs.SEEDING)
OWN = (*OWN_IN_LOADER, runs.LABEL_CHECKS, runs.PREEMPTION)
CLASSES, LABEL, LOGITS = 21, (4, 513, 513), 33  # of the loss alone
SAMPLES = 64
INTERVAL = 3000  # iterations from one checkpoint to the next in configs/_base_/voc.py
WHOLE = 'whole'
WALL = 'time on the wall'
CLOCKS = {WALL: time.perf_counter, 'CPU time': time.process_time}

Timed = dict[str, dict]  # quantiles of seconds by phase


def measure(args: argparse.Namespace) -> dict:
    now = getattr(time, clock(args.device))

    def synchronized() -> float:
        synchronize(args.device)
        return now()

    watch = Stopwatch(synchronized)
    with tempfile.TemporaryDirectory() as folder, runs.watched_functions(watch):
        trained = {
            name: runs.started(name, Path(folder), args.device, args.crop, args.batch)
            for name in RUNS
        }
        for runner in trained.values():
            runs.watch_run(watch, runner)
        steps = {name: runs.step_of(runner) for name, runner in trained.items()}
        return dict(
            crop=args.crop,
            batch=args.batch,
            steps=take_turns(watch, steps, args.repeats, forget_map),
            loss=take_turns(watch, losses(watch, trained, args.device), args.repeats),
            sample=samples(watch, trained),
            checkpoint=checkpoints(trained[OURS], args.repeats),
        )


def forget_map(round_: int) -> None:
    """Each run makes its own weight map, though the batches are the same."""
    shared_map._last = None


def take_turns(
    watch: Stopwatch,
    candidates: dict[str, Callable[[int], object]],
    repeats: int,
    before: Callable[[int], object] = int,
) -> dict[str, Timed]:
    """Phases of each candidate and the whole call, over ``repeats`` calls after two untimed ones.

    Candidates, and what runs before each without being timed, are given the number of the round.
    """
    calls: dict[str, list[dict]] = {name: [] for name in candidates}
    for round_ in range(repeats + 2):
        for name, run in candidates.items():
            before(round_)
            seconds = watch.time(partial(run, round_))
            if round_ >= 2:
                calls[name].append(seconds | {WHOLE: sum(seconds.values())})
    return {name: _by_phase(timed) for name, timed in calls.items()}


def _by_phase(calls: list[dict]) -> Timed:
    phases = dict.fromkeys(phase for call in calls for phase in call)
    return {phase: quantiles([call.get(phase, 0.0) for call in calls]) for phase in phases}


def losses(watch: Stopwatch, trained: dict[str, Runner], device: str) -> dict[str, Callable]:
    """Loss, accuracy and gradient of the logits by each run's head, on the same input.

    Raises:
        ValueError: The loss with ``LeanHead`` is not the loss without.
    """
    label = blocks(CLASSES, LABEL, side=32, void=0.1).to(device)
    data = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(LABEL[0], CLASSES, LOGITS, LOGITS, generator=generator)
    logits = logits.to(device).requires_grad_()

    def run(name: str, round_: int = 0) -> torch.Tensor:
        forget_map(round_)
        found = trained[name].model.decode_head.loss_by_feat(logits, data)
        (loss,) = (value for key, value in found.items() if key.startswith('loss_'))
        with watch.phase(runs.BACKWARD):
            torch.autograd.grad(loss, logits)
        return loss.detach()

    plain, lean = run(OURS), run(LEAN)
    if not abs(lean / plain - 1) <= 1e-5:
        raise ValueError(f'the loss is {plain}, but {lean} with LeanHead')
    return {name: partial(run, name) for name in trained}


def samples(watch: Stopwatch, trained: dict[str, Runner]) -> dict[str, Timed]:
    """One sample from the files to tensors, with the same random draws, by both data sets.

    Raises:
        ValueError: The two give different tensors.
    """
    stock, ours = (trained[name].train_loop.dataloader.dataset for name in (STOCK, OURS))
    reads = {
        STOCK: lambda number: stock[number % len(stock)],
        OURS: lambda number: ours[number, number % len(ours)],
    }
    set_random_seed(0)
    if not torch.equal(*(read(0)['inputs'] for read in reads.values())):
        raise ValueError('the two data sets give different samples')
    return take_turns(watch, reads, SAMPLES, set_random_seed)


def checkpoints(runner: Runner, repeats: int) -> dict[str, Timed]:
    """A checkpoint of a run by mmengine's hook and by ours: by two clocks, as it waits."""
    ours = runs.checkpoint_hook(runner)
    kept = dict(interval=INTERVAL, by_epoch=False, max_keep_ckpts=ours.max_keep_ckpts)
    stock = CheckpointHook(out_dir=f'{runner.work_dir}/stock', **kept)
    stock.before_train(runner)
    number = itertools.count(1)
    calls: dict[str, list[dict]] = {STOCK: [], OURS: []}
    for _ in range(repeats + 2):
        for name, hook in ((STOCK, stock), (OURS, ours)):
            runner.train_loop._iter = next(number)
            start = {clock: read() for clock, read in CLOCKS.items()}
            hook._save_checkpoint(runner)
            calls[name].append({clock: read() - start[clock] for clock, read in CLOCKS.items()})
    return {name: _by_phase(timed[2:]) for name, timed in calls.items()}


def table(record: dict) -> str:
    """Where the time of a step goes."""
    return _phases(record['results']['steps'], 'part of a step') + source(record)


def loss_table(record: dict) -> str:
    """Where the time of loss, accuracy and gradient goes."""
    return _phases(record['results']['loss'], 'part of the loss') + source(record)


def loader_table(record: dict) -> str:
    """A sample by MMSegmentation's data set and by ours."""
    return _phases(record['results']['sample'], 'part of a sample') + source(record)


def checkpoint_table(record: dict) -> str:
    """A checkpoint by mmengine's hook and by ours."""
    written = record['results']['checkpoint']
    rows = [
        [name, *(f'{1e3 * median(timed[clock]):.0f} ms' for clock in CLOCKS)]
        for name, timed in written.items()
    ]
    measured = dict(record, environment=record['environment'] | dict(clock='both'))
    return to_markdown(['a checkpoint by', *CLOCKS], rows, left=1) + source(measured)


def _phases(timed: dict[str, Timed], what: str) -> str:
    names = [name for name in timed if name in RUNS]
    phases = [p for p in runs.PHASES if any(p in timed[name] for name in names)]
    rows = [
        [phase, *(_milliseconds(timed[name].get(phase)) for name in names)]
        for phase in (*phases, WHOLE)
    ]
    return to_markdown([what, *names], rows, left=1)


def _milliseconds(times: dict | None) -> str:
    return '' if times is None else f'{1e3 * median(times):.2f} ms'


def own_share(record: dict) -> float:
    """Checks, seeding, and what our checkpoints take beyond mmengine's, as a share of a step."""
    results = record['results']
    step, written = results['steps'][OURS], results['checkpoint']
    own = sum(median(step[phase]) for phase in OWN if phase in step)
    later = median(written[OURS][WALL]) - median(written[STOCK][WALL])
    return (own + later / INTERVAL) / median(step[WHOLE])


def summary(record: dict) -> dict[str, str]:
    results = record['results']
    sample, loss = results['sample'], results['loss']
    own = sum(median(sample[OURS][phase]) for phase in OWN_IN_LOADER)
    ratios = [median(loss[name][WHOLE]) / median(loss[STOCK][WHOLE]) for name in (OURS, LEAN)]
    return {
        'checks, seeding and checkpoints, share of a training step': f'{own_share(record):.2%}',
        'checks and seeding, share of reading a sample': (
            f'{own / median(sample[OURS][WHOLE]):.1%} ({1e3 * own:.2f} ms)'
        ),
        "`BoundaryAwareLoss` / with `LeanHead` against MMSegmentation's cross entropy, each with "
        'its accuracy and gradient': f'{ratios[0]:.2f} / {ratios[1]:.2f} of the time',
    }


if __name__ == '__main__':
    tables = (table, loss_table, loader_table, checkpoint_table)
    main(__file__, __doc__, measure, *tables, crop=257, batch=2)
