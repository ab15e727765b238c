"""What was measured, read from the JSON files in benchmarks/results."""

import functools
import json
import statistics
from collections.abc import Callable

from benchmarks.harness import ROOT
from benchmarks.pyramid_atrous_conv import FIVE, singles

RESULTS = ROOT / 'benchmarks' / 'results'
MACHINE = 'intel-xeon-processor'  # the one whose figures the pages show
MODES = {'forward': 'forward', 'forward+backward': 'forward + backward'}


@functools.cache
def record(name: str) -> dict:
    (path,) = RESULTS.glob(f'{name}-{MACHINE}-x*.json')
    return dict(json.loads(path.read_text()), path=path.relative_to(ROOT).as_posix())


def results(name: str) -> list | dict:
    return record(name)['results']


def source(name: str) -> str:
    """Where the figures of a table in docs/ come from."""
    place = record(name)['environment']
    return (
        f'\n\nMedians; {place["machine"]}, torch {place["torch"]}, commit '
        f'{place["commit"]}, {place["date"]} ([JSON](../{record(name)["path"]})).'
    )


def median(times: dict) -> float:
    return times['p50']


def span(values: list[float], digits: int) -> str:
    """'least to most', or one number where both read the same."""
    ends = [f'{value:.{digits}f}' for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else ' to '.join(ends)


def ratios(mode: str, rival: Callable[[dict], float]) -> list[float]:
    """Time of the fast pyramid over its rival's, for every size and batch."""
    return [
        median(case[mode]['times']['fast']) / rival(case[mode]['times'])
        for case in results('pyramid_atrous_conv')['cases']
    ]


def five(times: dict) -> float:
    return median(times[FIVE])


def one_on_average(times: dict) -> float:
    return statistics.mean(singles(times))


def quickest(times: dict) -> float:
    return min(singles(times))


def five_figures() -> str:
    forward, training = (span([1 / ratio for ratio in ratios(mode, five)], 1) for mode in MODES)
    memory = [
        case[mode]['memory']['fast'] / case[mode]['memory'][FIVE]
        for case in results('pyramid_atrous_conv')['cases']
        for mode in MODES
    ]
    return (
        f'{forward} times faster forward, {training} forward and backward; '
        f'{span(memory, 2)} of the memory'
    )


def one_figures() -> str:
    (forward, training), (least, least_training) = (
        [span(ratios(mode, base), 2) for mode in MODES] for base in (one_on_average, quickest)
    )
    return (
        f'{forward} of the mean time of the five forward, {training} forward and backward; '
        f'{least} and {least_training} of that of the quickest'
    )


def head_figures() -> str:
    def of_both(mode: str, key: str) -> list[tuple]:
        return [tuple(sized[mode][key].values()) for sized in results('pac_head')]

    forward, training = (
        ' and '.join(f'{median(aspp) / median(pac):.1f}' for pac, aspp in of_both(mode, 'times'))
        for mode in ('forward', 'training')
    )
    share = ' and '.join(f'{pac / aspp:.2f}' for pac, aspp in of_both('training', 'memory'))
    return (
        f'{forward} times faster forward, {training} in training; {share} of the memory in training'
    )


def crop() -> str:
    steps = results('training_step')
    return f'crop {steps["crop"]}, batch {steps["batch"]}, CPU'


def step_figures() -> str:
    steps = results('training_step')
    speeds = [steps['batch'] / median(times) for times in steps['times'].values()]
    memory = [most / 1e9 for most in steps['memory'].values()]
    return (
        f'{" / ".join(f"{speed:.2f}" for speed in speeds)} images/s, '
        f'{" / ".join(f"{most:.2f}" for most in memory)} GB'
    )


def map_speedup() -> float:
    fast, plain = results('boundary_weight')['reference'].values()
    return median(plain) / median(fast)


def map_share(batch: int) -> float:
    weight_map, step = results('boundary_weight')[f'batch of {batch}'].values()
    return median(weight_map) / median(step)


def lean_figures() -> str:
    speedups, memory = [], {}
    for case in results('lean_loss'):
        if case['classes'] in (21, 150) and case['logits'] == 64:
            plain, lean = (median(case['seconds'][name]) for name in ('plain', 'lean'))
            speedups.append(f'{plain / lean:.1f}')
            memory[case['classes']] = case['bytes']['lean'] / case['bytes']['plain']
    shares = ' / '.join(f'{share:.2f}' for share in memory.values())
    return f'{" / ".join(speedups)} times faster, {shares} of the memory'


def metric_seconds() -> float:
    return median(results('boundary_metric')['present']['21 of 21 classes present'])
