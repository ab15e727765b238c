"""One filter at five rates: the fast form, the sum of convolutions, and each of them alone.

python -m benchmarks.pyramid_atrous_conv          2048 -> 256 channels, with bars
python -m benchmarks.pyramid_atrous_conv --grid   what 'auto' rests on: many sizes and rates
"""

import argparse
import itertools
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from prettytable import PrettyTable
from torch import Tensor

from benchmarks.harness import Run, measure_times, parser, peak_memory, relative_error, save
from mmseg_pacbal.ops import pyramid_atrous_conv2d
from mmseg_pacbal.ops.backend_choice import choose_by_rule
from mmseg_pacbal.ops.taps import outputs_innermost

Layer = tuple[Callable[[Tensor, Tensor], Tensor], Tensor]  # of features and filter; a filter
RATES = (1, 3, 5, 7, 9)
FIVE = 'five convolutions'
GEMM = ('aten::mm', 'aten::addmm_')
GRID = dict(
    dtype=('float32', 'bfloat16'),
    channels=((16, 64), (64, 64), (256, 256), (512, 256)),
    size=(9, 17, 33, 65),
    rates=((3, 6), (6, 12, 18), RATES),
    batch=(1, 4),
)
# The most that the fast form's time may be, in times that of five convolutions, and of one.
CPU_BARS = {'forward': (1 / 4.5, 1.1), 'forward+backward': (1 / 5.5, 1.0)}
CUDA_BARS = {'forward': (1 / 4, 1.2), 'forward+backward': (1 / 4, 1.2)}


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    if args.grid:
        save('pyramid_atrous_conv_grid', grid(args), args)
        return
    cuda = args.device != 'cpu'
    dtypes = ('float32', 'tf32', 'bfloat16') if cuda else ('float32',)
    results = dict(
        accuracy=[accuracy(d, args.device) for d in ('float32', 'bfloat16', 'float16')],
        cases=[
            case(args, size, batch, dtype)
            for size, batch, dtype in itertools.product((33, 65), (16,) if cuda else (1, 2), dtypes)
        ],
    )
    save('pyramid_atrous_conv', results, args)


def case(args: argparse.Namespace, size: int, batch: int, dtype: str) -> dict:
    """Times, memory and the share of the matrix products at one size, printed against the bars."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == 'tf32'
    type_ = torch.bfloat16 if dtype == 'bfloat16' else torch.float32
    x, weight = inputs((2048, 256), size, batch, args.device, type_)
    layers = candidates(x, weight, RATES, 'auto')
    plain = layers[FIVE][1]
    for rate in RATES:
        layers[alone(rate)] = (lambda x, w, r=rate: F.conv2d(x, w, padding=r, dilation=r), plain)
    result = dict(size=size, batch=batch, dtype=dtype)
    bars = CPU_BARS if args.device == 'cpu' else CUDA_BARS
    for mode, wrap in MODES.items():
        runs = {name: wrap(layer, x) for name, layer in layers.items()}
        times = measure_times(runs, args.repeats, args.device)
        memory = {name: peak_memory(run, args.device) for name, run in runs.items()}
        share = gemm_share(runs['fast']) if args.device == 'cpu' else None
        result[mode] = dict(times=times, memory=memory, gemm_share=share)
        print(f'\n{batch} x 2048 x {size} x {size}, {dtype}, {mode}')
        print_case(result[mode], bars[mode])
    return result


def alone(rate: int) -> str:
    return f'rate {rate} alone'


def singles(times: dict[str, dict]) -> list[float]:
    """Median seconds of the convolution at each rate, alone."""
    return [times[alone(rate)]['p50'] for rate in RATES]


def candidates(x: Tensor, weight: Tensor, rates: tuple, backend: str) -> dict[str, Layer]:
    """The fast form and the convolutions, which must agree, each with its filter's best layout."""

    def pyramid(backend: str) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, w: pyramid_atrous_conv2d(x, w, rates, backend=backend)

    layers = {'fast': (pyramid(backend), weight)}
    layout = torch.channels_last if x.is_cuda else torch.contiguous_format
    plain = weight.detach().contiguous(memory_format=layout).requires_grad_()
    layers[FIVE] = (pyramid('reference'), plain)
    with torch.no_grad():
        error = relative_error(*(layers[n][0](x, weight) for n in ('fast', FIVE)))
    if error > (1e-2 if x.dtype == torch.bfloat16 or x.is_cuda else 1e-5):
        raise ValueError(f'the fast form differs from the convolutions by {error:.1e}')
    return layers


def inference(layer: Layer, x: Tensor) -> Run:
    return torch.no_grad()(lambda: layer[0](x, layer[1]))


def training(layer: Layer, x: Tensor) -> Run:
    function, weight = layer
    grad = torch.randn_like(function(x, weight).detach())
    return lambda: torch.autograd.grad(function(x, weight), (x, weight), grad)


MODES: dict[str, Callable] = {'forward': inference, 'forward+backward': training}


def inputs(
    channels: tuple[int, int], size: int, batch: int, device: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Features and a filter as the module holds it; channels_last on CUDA, cuDNN's best."""
    generator = torch.Generator().manual_seed(0)
    c_in, c_out = channels
    x = torch.randn(batch, c_in, size, size, generator=generator)
    weight = torch.randn(c_out, c_in, 3, 3, generator=generator) / (9 * c_in) ** 0.5
    x, weight = x.to(device, dtype), outputs_innermost(weight.to(device, dtype))
    if device != 'cpu':
        x = x.contiguous(memory_format=torch.channels_last)
    return x.requires_grad_(), weight.requires_grad_()


def gemm_share(run: Run) -> float:
    """Share of the CPU time that is spent in matrix products."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run()
    spent = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    return sum(spent.get(name, 0) for name in GEMM) / sum(spent.values())


def print_case(result: dict, bars: tuple[float, float]) -> None:
    table = PrettyTable(['', 'p20 ms', 'p50 ms', 'p80 ms', 'memory MB'])
    for name, times in result['times'].items():
        milliseconds = [f'{1e3 * times[q]:.1f}' for q in ('p20', 'p50', 'p80')]
        table.add_row([name, *milliseconds, f'{result["memory"][name] / 1e6:.1f}'])
    print(table)
    medians = {name: times['p50'] for name, times in result['times'].items()}
    ones = singles(result['times'])
    print_bar('time, fast / five convolutions', medians['fast'] / medians[FIVE], bars[0])
    print_bar('time, fast / one, mean', medians['fast'] / statistics.mean(ones), bars[1])
    print_bar('time, fast / one, quickest', medians['fast'] / min(ones), bars[1])
    memory = result['memory']
    print_bar('memory of fast / five convolutions', memory['fast'] / memory[FIVE], 1)
    if result['gemm_share'] is not None:
        print_bar('time outside the matrix products', 1 - result['gemm_share'], 0.15)


def print_bar(name: str, value: float, most: float) -> None:
    print(f'{name}: {value:.3f}, at most {most:.3f}: {"met" if value <= most else "MISSED"}')


def accuracy(dtype: str, device: str) -> dict:
    """Norm of the error against float64, relative, of output and both gradients."""
    # float16 convolutions take minutes on CPU: a small size.
    x, weight = inputs((256, 64), 17, 1, device, getattr(torch, dtype))
    exact = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
    grad = torch.randn_like(x[:, :64])

    def results(backend: str, x: Tensor, weight: Tensor) -> list[Tensor]:
        out = pyramid_atrous_conv2d(x, weight, RATES, backend=backend)
        return [out, *torch.autograd.grad(out, (x, weight), grad.to(out.dtype))]

    expected = results('reference', *exact)
    fast = 'triton' if device != 'cpu' else 'factorized'
    errors = {}
    for name, backend in (('fast', fast), (FIVE, 'reference')):
        actual = results(backend, x, weight)
        errors[name] = [relative_error(a, e) for a, e in zip(actual, expected, strict=True)]
    for name, first, second in zip(
        ('output', 'grad x', 'grad weight'), *errors.values(), strict=True
    ):
        print_bar(f'{dtype}, error of {name}, fast / five convolutions', first / second, 2)
    return dict(dtype=dtype, errors=errors)


def grid(args: argparse.Namespace) -> list[dict]:
    """The fast form against the convolutions: what the choice of 'auto' rests on."""
    results = []
    for dtype, channels, size, rates, batch in itertools.product(*GRID.values()):
        x, weight = inputs(channels, size, batch, args.device, getattr(torch, dtype))
        layers = candidates(x, weight, rates, 'triton' if x.is_cuda else 'factorized')
        # The choice is between forms for one and the same filter.
        layers[FIVE] = (layers[FIVE][0], weight)
        chosen = choose_by_rule(x.shape[1], rates)
        for mode, wrap in MODES.items():
            runs = {name: wrap(layer, x) for name, layer in layers.items()}
            times = measure_times(runs, args.repeats, args.device)
            where = dict(
                dtype=dtype, channels=channels, size=size, batch=batch, rates=rates, mode=mode
            )
            results.append(dict(**where, times=times))
            ratio = times['fast']['p50'] / times[FIVE]['p50']
            print(*where.values(), f'fast / convolutions {ratio:.3f}, auto takes {chosen}')
    return results


if __name__ == '__main__':
    arguments = parser(__doc__.partition('\n')[0])
    arguments.add_argument('--grid', action='store_true', help="measure what 'auto' rests on")
    main(arguments.parse_args())
