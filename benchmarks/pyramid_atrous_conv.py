"""One filter at five rates: every form of the pyramid, and each of the five convolutions alone.

python -m benchmarks.pyramid_atrous_conv    2048 -> 256 channels
"""

import argparse
import itertools
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import InTurn, Run, agree, fresh, main, measure_both
from benchmarks.records import source, span
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops import pyramid_atrous_conv2d

Layer = tuple[Callable[[Tensor, Tensor], Tensor], Tensor]  # of features and filter; a filter
RATES = (1, 3, 5, 7, 9)
FIVE = 'five convolutions'
GEMM = ('aten::mm', 'aten::addmm_')


def measure(args: argparse.Namespace) -> dict:
    torch.backends.cudnn.benchmark = True
    cuda = args.device != 'cpu'
    dtypes = ('float32', 'tf32', 'bfloat16') if cuda else ('float32',)
    sizes, batches = (map(int, text.split(',')) for text in (args.sizes, args.batches))
    cases = itertools.product(sizes, batches, dtypes)
    return dict(cases=[case(args, *where) for where in cases])


def case(args: argparse.Namespace, size: int, batch: int, dtype: str) -> dict:
    """Times, memory and the share of the matrix products at one size."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == 'tf32'
    type_ = torch.bfloat16 if dtype == 'bfloat16' else torch.float32
    features, weight = inputs((2048, 256), size, batch, args.device, type_)
    layers = candidates(features[0], weight)
    plain = layers[FIVE][1]
    for rate in RATES:
        layers[alone(rate)] = (lambda x, w, r=rate: F.conv2d(x, w, padding=r, dilation=r), plain)
    result = dict(size=size, batch=batch, dtype=dtype)
    for mode, wrap in MODES.items():
        runs = {name: wrap(layer, features) for name, layer in layers.items()}
        share = gemm_share(runs['factorized']) if args.device == 'cpu' else None
        result[mode] = dict(**measure_both(runs, args), gemm_share=share)
    return result


def pyramid(rates: tuple, backend: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, w: pyramid_atrous_conv2d(x, w, rates, backend=backend)


def candidates(x: Tensor, weight: Tensor) -> dict[str, Layer]:
    """Both forms of the pyramid, which must agree, each with its filter's best layout."""
    layout = torch.channels_last if x.is_cuda else torch.contiguous_format
    plain = weight.detach().contiguous(memory_format=layout).requires_grad_()
    layers = {
        'factorized': (pyramid(RATES, 'auto'), weight),
        FIVE: (pyramid(RATES, 'reference'), plain),
    }
    bound = 1e-2 if x.dtype == torch.bfloat16 or x.is_cuda else 1e-5
    with torch.no_grad():
        factorized, five = (function(x, weight) for function, _ in layers.values())
    agree('the forms of the pyramid', factorized, five, bound)
    return layers


def alone(rate: int) -> str:
    return f'rate {rate} alone'


def inference(layer: Layer, features: list[Tensor]) -> InTurn:
    function, weight = layer
    return InTurn(torch.no_grad()(lambda x: function(x, weight)), features)


def training(layer: Layer, features: list[Tensor]) -> InTurn:
    """Forward and backward, with the same gradient of the output for every form."""
    function, weight = layer
    torch.manual_seed(0)
    grad = torch.randn_like(function(features[0], weight).detach())
    return InTurn(lambda x: torch.autograd.grad(function(x, weight), (x, weight), grad), features)


MODES: dict[str, Callable] = {'forward': inference, 'forward+backward': training}


def inputs(
    channels: tuple[int, int], size: int, batch: int, device: str, dtype: torch.dtype
) -> tuple[list[Tensor], Tensor]:
    """Features in turn and a filter, as the module holds it; channels_last on CUDA."""
    c_in, c_out = channels
    layout = torch.contiguous_format if device == 'cpu' else torch.channels_last

    def features(generator: torch.Generator) -> Tensor:
        x = torch.randn(batch, c_in, size, size, generator=generator).to(device, dtype)
        return x.contiguous(memory_format=layout).requires_grad_()

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(c_out, c_in, 3, 3, generator=generator) / (9 * c_in) ** 0.5
    return fresh(features), weight.to(device, dtype).requires_grad_()


def gemm_share(run: Run) -> float:
    """Share of the CPU time that is spent in matrix products."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run()
    spent = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    return sum(spent.get(name, 0) for name in GEMM) / sum(spent.values())


# Tables


def cases(record: dict) -> list[tuple[list[str], dict, dict, dict]]:
    """Batch, size and pass as cells, median seconds, memory and all else, of every case."""
    return [
        (
            [f'{case["batch"]}, {case["size"]}x{case["size"]}', mode.replace('+', ' + ')],
            {name: times['p50'] for name, times in case[mode]['times'].items()},
            case[mode]['memory'],
            case[mode],
        )
        for case in record['results']['cases']
        for mode in MODES
    ]


def table(record: dict) -> str:
    rows = []
    for where, seconds, memory, case in cases(record):
        ours, five, ones = seconds['factorized'], seconds[FIVE], singles(seconds)
        share = case['gemm_share']
        rows.append(
            [
                *where,
                *(f'{1e3 * s:.0f} ms' for s in (ours, five)),
                f'{1e3 * min(ones):.0f} to {1e3 * max(ones):.0f} ms',
                f'{five / ours:.2f}',
                f'{ours / statistics.mean(ones):.2f}',
                f'{ours / min(ones):.2f}',
                f'{memory["factorized"] / 1e6:.0f} and {memory[FIVE] / 1e6:.0f} MB',
                '' if share is None else f'{100 * share:.0f} %',
            ]
        )
    head = ['batch, size', 'pass', 'factorized', 'five', 'one alone', 'five / factorized']
    head += ['factorized / mean one', 'factorized / quickest one', 'memory, factorized and five']
    head += ['in products']
    return to_markdown(head, rows, left=2) + source(record)


def singles(seconds: dict[str, float]) -> list[float]:
    """The times of the convolution at each rate, alone."""
    return [seconds[alone(rate)] for rate in RATES]


def summary(record: dict) -> dict[str, str]:
    def spans(ratio: Callable[[dict], float], digits: int) -> list[str]:
        """Forward, then forward and backward."""
        ratios = [ratio(seconds) for _, seconds, *_ in cases(record)]
        return [span(ratios[mode::2], digits) for mode in (0, 1)]

    forward, training = spans(lambda s: s[FIVE] / s['factorized'], 1)
    mean, mean_training = spans(lambda s: s['factorized'] / statistics.mean(singles(s)), 2)
    least, least_training = spans(lambda s: s['factorized'] / min(singles(s)), 2)
    memory = span([m['factorized'] / m[FIVE] for *_, m, _ in cases(record)], 2)
    return {
        'PAC, five rates, against the sum of five convolutions, 2048 -> 256 channels, float32': (
            f'{forward} times faster forward, {training} forward and backward; '
            f'{memory} of the memory'
        ),
        'the same against one of the five alone': (
            f'{mean} of the mean time of the five forward, {mean_training} forward and backward; '
            f'{least} and {least_training} of that of the quickest'
        ),
    }


if __name__ == '__main__':
    batches = '16' if torch.cuda.is_available() else '1,2'
    main(__file__, __doc__, measure, table, sizes='33,65', batches=batches)
