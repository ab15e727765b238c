"""Every op in every dtype that the device computes, against float64; and how fast the ops are."""

import copy
import itertools
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.benchmark import Timer

from ...datasets.palette import VOID
from ...losses import BoundaryAwareLoss
from ...ops import (
    available_backends,
    border_weight_map,
    boundary_weight_map,
    gpu_trials,
    lean_cross_entropy,
    pyramid_atrous_conv2d,
)
from ...ops.reference import boundary_weight_map_reference
from .examination import Check, Skip

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
CLASSES = 5
EPS = torch.finfo(torch.float32).eps


def blocks(size: tuple[int, int] = (65, 97), images: int = 2) -> Tensor:
    """Label maps of rectangular blocks and a bar of void, (N, H, W) int64."""
    y, x = torch.meshgrid(*map(torch.arange, size), indexing='ij')
    label = torch.stack([(y // (9 + n) + x // 13) % CLASSES for n in range(images)])
    label[:, size[0] // 3 : size[0] // 3 + 3] = VOID
    return label


def compare(name: str, actual: Tensor, exact: Tensor, bound: float) -> None:
    """Raise if the largest error exceeds bound * (the largest value)."""
    error = (actual.cpu().double() - exact.cpu()).abs().max() / exact.abs().max().clamp(min=1e-30)
    if not error <= bound:
        raise ArithmeticError(
            f'{name} is off by {float(error):.1e} of its largest value, but rounding explains at '
            f'most {bound:.1e}'
        )


def check_weight_map(device: torch.device) -> str:
    label = blocks()
    exact = boundary_weight_map_reference(label)
    # Two products with matrices of 65 and 97 columns, all terms positive: each adds a relative
    # error of at most its length times eps.
    bound = sum(label.shape[1:]) * EPS
    dtypes = (torch.uint8, torch.int16, torch.int32, torch.int64)
    for dtype in dtypes:
        compare(str(dtype), boundary_weight_map(label.to(device, dtype)), exact, bound)
    return f'labels of {_names(dtypes)}'


def check_pyramid(device: torch.device) -> str:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 48, 13, 18, generator=generator)
    filters = torch.randn(8, 48, 3, 3, generator=generator)
    rates, backends = (1, 3, 5), available_backends(device.type)
    done = computed(
        device, lambda t: F.conv2d(t[None, None], t[None, None, :3, :3], padding=3, dilation=3)
    )
    for dtype in done:
        x, weight = (t.to(device, dtype).requires_grad_() for t in (values, filters))
        inputs = [t.detach().cpu().double().requires_grad_() for t in (x, weight)]
        bound = gpu_trials.rounding(x, weight, rates)
        for merge, backend in itertools.product(('sum', 'concat'), backends):
            exact = pyramid_atrous_conv2d(
                inputs[0], inputs[1], rates, merge=merge, backend='reference'
            )
            out = pyramid_atrous_conv2d(x, weight, rates, merge=merge, backend=backend)
            grad = torch.randn(exact.shape, generator=generator).to(dtype)
            expected = exact, *torch.autograd.grad(exact, inputs, grad.double())
            actual = out, *torch.autograd.grad(out, (x, weight), grad.to(device))
            for name, a, e in zip(('out', 'grad_x', 'grad_weight'), actual, expected, strict=True):
                label = f'{name} of backend {backend}, merge {merge}, {dtype},'
                compare(label, a.detach(), e.detach(), bound)
    return f'backends {", ".join(backends)}; {_names(done)}'


def check_border_weight_map(device: torch.device) -> str:
    """U-Net's map of three rectangles against distances to each of their pixels, in float64."""
    label = torch.full((1, 24, 31), VOID)
    pixels = torch.cartesian_prod(*map(torch.arange, label.shape[1:])).double()
    distances = []
    for y, x, c in ((2, 3, 1), (12, 4, 1), (9, 17, 2)):
        label[0, y : y + 7, x : x + 9] = c
        inside = torch.cartesian_prod(torch.arange(y, y + 7), torch.arange(x, x + 9)).double()
        distances.append(torch.cdist(pixels, inside).amin(dim=1))
    nearest_two = torch.stack(distances).sort(dim=0).values[:2]
    t = nearest_two.sum(dim=0).square().view(label.shape) / 50
    # float32 rounds d1, d2, their sum, its square, its quotient: t is off by 3 eps t, and
    # 10 exp(-t), where t exp(-t) < 0.4, by 12 eps; rounding it, and adding 1 to it, by 11 eps each.
    exact, bound = 1 + 10 * torch.exp(-t), 3 * EPS  # of 11, the largest value
    compare('the map', border_weight_map(label.to(device)), exact, bound)
    return 'two objects of one class, one of another'


def check_lean_cross_entropy(device: torch.device) -> str:
    label = blocks()
    weight = boundary_weight_map(label)

    def plain(z: Tensor) -> Tensor:
        large = F.interpolate(z, label.shape[1:], mode='bilinear', align_corners=False)
        return (F.cross_entropy(large, label, ignore_index=VOID, reduction='none') * weight).sum()

    def ours(z: Tensor) -> Tensor:
        return lean_cross_entropy(z, label.to(device), weight.to(device), ignore_index=VOID)[0]

    return _check_loss(device, (9, 13), plain, ours)


def check_loss(device: torch.device) -> str:
    label = blocks()
    loss = BoundaryAwareLoss(normalize='mean', class_weight=[1.0, 2.0, 0.5, 1.0, 3.0])
    there, place = copy.deepcopy(loss).to(device), label.to(device)
    return _check_loss(device, (65, 97), lambda z: loss(z, label), lambda z: there(z, place))


def _check_loss(
    device: torch.device,
    size: tuple[int, int],
    plain: Callable[[Tensor], Tensor],
    ours: Callable[[Tensor], Tensor],
) -> str:
    """Compare value and gradient; losses compute half-precision logits in float32."""
    logits = torch.randn(2, CLASSES, *size, generator=torch.Generator().manual_seed(1))
    done = computed(device, lambda t: t + t)
    for dtype in done:
        z = logits.to(device, dtype).requires_grad_()
        value = ours(z)
        (grad,) = torch.autograd.grad(value, z)
        exact_z = z.detach().cpu().double().requires_grad_()
        exact = plain(exact_z)
        (exact_grad,) = torch.autograd.grad(exact, exact_z)
        # Sums over n pixels in float32 with float32 weights: about sqrt(n) roundings and the last
        # one. The largest gradient is a sum over the pixels that one logit reaches, at most all.
        bound = 2 * (len(exact_grad) * 65 * 97) ** 0.5 * EPS
        compare(f'{dtype} value', value.detach(), exact.detach(), bound)
        compare(f'{dtype} gradient', grad, exact_grad, bound + torch.finfo(dtype).eps)
    return _names(done)


def computed(device: torch.device, op: Callable[[Tensor], Tensor]) -> list[torch.dtype]:
    """The dtypes in which a device can compute an op; Skip if float32 is not among them."""
    done = []
    for dtype in DTYPES:
        try:
            op(torch.ones(8, 8, device=device, dtype=dtype))
            done.append(dtype)
        except (RuntimeError, TypeError):  # not implemented
            pass
    if torch.float32 not in done:
        raise Skip(f'{device} does not compute float32')
    return done


def _names(dtypes: Iterable[torch.dtype]) -> str:
    return ', '.join(str(dtype).removeprefix('torch.') for dtype in dtypes)


def time_pyramid(device: torch.device) -> str:
    """PAC of five rates against five convolutions, in the memory format where those are fastest."""
    c_in, c_out = (1024, 256) if device.type == 'cuda' else (512, 64)
    x = torch.randn(2, c_in, 33, 33, device=device)
    weight = torch.randn(c_out, c_in, 3, 3, device=device)
    formats = [torch.contiguous_format, torch.channels_last][: 2 if device.type == 'cuda' else 1]

    def step(x: Tensor, weight: Tensor, backend: str) -> None:
        x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
        out = pyramid_atrous_conv2d(x, weight, (1, 3, 5, 7, 9), backend=backend)
        torch.autograd.grad(out.sum(), (x, weight))

    def fastest(backend: str) -> float:
        return min(
            _milliseconds(
                step, x.contiguous(memory_format=f), weight.contiguous(memory_format=f), backend
            )
            for f in formats
        )

    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        plain, ours = fastest('reference'), fastest('auto')
    finally:
        torch.backends.cudnn.benchmark = benchmark
    choices = gpu_trials.choices.items()
    auto = ', '.join(sorted({name for key, name in choices if key[0] == device}))
    return (
        f'forward and backward, {c_in} to {c_out} channels at 33x33, batch 2: {ours:.1f} ms against'
        f' {plain:.1f} ms of five convolutions, {plain / ours:.1f} times as fast'
        f'{f"; auto chose {auto}" if auto else ""}'
    )


def time_weight_map(device: torch.device) -> str:
    label = blocks((257, 257)).to(device)
    ours = _milliseconds(boundary_weight_map, label)
    plain = _milliseconds(boundary_weight_map_reference, label)
    return f'257x257, batch 2: {ours:.1f} ms against {plain:.1f} ms of the plain definition'


def _milliseconds(function: Callable, *args: object) -> float:
    """Median over half a second, after a warm-up."""
    threads = torch.get_num_threads()
    timer = Timer('f(*args)', globals=dict(f=function, args=args), num_threads=threads)
    return 1000 * timer.blocked_autorange(min_run_time=0.5).median


_REPORT = 'Please report it with the block below; until then '
_BACKEND = 'set the environment variable MMSEG_PACBAL_BACKEND=reference'
CHECKS = (
    Check('boundary_weight_map', check_weight_map, _REPORT + 'compute the loss on the CPU'),
    Check('pyramid_atrous_conv2d', check_pyramid, _REPORT + _BACKEND),
    Check('border_weight_map', check_border_weight_map, _REPORT + 'do without BorderWeightLoss'),
    Check('lean_cross_entropy', check_lean_cross_entropy, _REPORT + 'do without LeanHead'),
    Check('BoundaryAwareLoss', check_loss, _REPORT + "use MMSegmentation's CrossEntropyLoss"),
)
_TIMING = 'Only the timing failed; report it with the block below'
SPEEDS = (
    Check('speed of PAC', time_pyramid, _TIMING),
    Check('speed of the weight map', time_weight_map, _TIMING),
)
