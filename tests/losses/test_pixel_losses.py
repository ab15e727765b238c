"""What holds for every loss; focal, OHEM and U-Net's loss, alone and under the map."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map, losses
from mmseg_pacbal.losses import BorderWeightLoss, OHEMPixelLoss, PixelLoss, SoftmaxFocalLoss
from mmseg_pacbal.ops import border_weight_map
from tests.needs import needs_mmseg

VOID = 255
CLASS_WEIGHT = [1.0, 2.0, 0.5]
# Each with its name in a head and the setting with which it is cross entropy.
RIVALS = {
    SoftmaxFocalLoss: ('loss_focal', dict(gamma=0)),
    OHEMPixelLoss: ('loss_ohem', dict(keep_ratio=1.0)),
    BorderWeightLoss: ('loss_border', dict(w0=0.0)),
}
EVERY_RIVAL = pytest.mark.parametrize('loss_class', RIVALS)
EVERY = pytest.mark.parametrize('loss_class', [*RIVALS, BoundaryAwareLoss])


def test_every_loss_is_tested_here():
    assert {PixelLoss, BoundaryAwareLoss, *RIVALS} == {getattr(losses, n) for n in losses.__all__}


@pytest.fixture
def case(generator) -> tuple[Tensor, Tensor]:
    logits = torch.randn(2, 3, 9, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    label = torch.randint(3, (2, 9, 12), generator=generator)
    label[:, 2:4] = VOID
    return logits, label


def cross_entropy(logits: Tensor, label: Tensor, weight: list[float] | None = None) -> Tensor:
    factor = None if weight is None else logits.new_tensor(weight)
    return F.cross_entropy(logits, label, factor, reduction='none', ignore_index=VOID)


def test_focal_loss_by_hand():
    # p = 3/4 at both pixels that count: (1/4)^2 log 4/3 and (3/4)^2 log 4.
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    label = torch.tensor([[[0, 1, VOID]]])
    expected = [math.log(4 / 3) / 16, 9 / 16 * math.log(4), 0]
    loss = SoftmaxFocalLoss(reduction='none')(logits, label)
    assert loss.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert SoftmaxFocalLoss()(logits, label).item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    weighted = SoftmaxFocalLoss(class_weight=[2.0, 0.5], reduction='sum')(logits, label)
    assert weighted.item() == pytest.approx(2 * expected[0] + expected[1] / 2, rel=1e-5)


@pytest.mark.parametrize('gamma', [0.5, 1.0, 2.0])
def test_focal_loss_of_a_certain_pixel_has_a_finite_gradient(gamma):
    logits = torch.tensor([200.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    for label in (0, 1):
        loss = SoftmaxFocalLoss(gamma=gamma)(logits, torch.full((1, 1, 1), label))
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()


def test_ohem_keeps_the_hardest(case):
    logits, label = case
    loss = OHEMPixelLoss(keep_ratio=0.25, reduction='none')(logits, label)
    plain = cross_entropy(logits, label)
    hardest = plain.detach().flatten().argsort(descending=True)[: round(0.25 * label.numel())]
    expected = torch.zeros_like(plain).flatten()
    expected[hardest] = plain.flatten()[hardest]
    torch.testing.assert_close(loss.flatten(), expected)
    mean = OHEMPixelLoss(keep_ratio=0.25)(logits, label)
    torch.testing.assert_close(mean, expected.sum() / len(hardest), rtol=1e-6, atol=0)


@pytest.mark.parametrize('options', [dict(w0=4.0, sigma=1.5), dict(background=0)], ids=str)
def test_border_loss_is_cross_entropy_times_the_map(options, case):
    loss = BorderWeightLoss(**options)(*case)
    total = (cross_entropy(*case) * border_weight_map(case[1], **options)).sum()
    torch.testing.assert_close(loss, total / case[1].numel(), rtol=1e-6, atol=0)


@EVERY_RIVAL
def test_at_one_end_each_is_cross_entropy(loss_class, case):
    loss = loss_class(**RIVALS[loss_class][1], class_weight=CLASS_WEIGHT, reduction='none')(*case)
    torch.testing.assert_close(loss, cross_entropy(*case, CLASS_WEIGHT))


@EVERY_RIVAL
def test_under_the_weight_map(loss_class, case):
    logits, label = case
    alone = loss_class(reduction='none')(logits, label)
    loss = BoundaryAwareLoss(kernel_size=5, downsample=2, pixel_loss=loss_class())(logits, label)
    weight = boundary_weight_map(label, kernel_size=5, downsample=2)
    torch.testing.assert_close(loss, (weight * alone).sum() / label.numel(), rtol=1e-6, atol=0)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[:, :, 2:4] == 0).all()


@EVERY
def test_gradcheck_void_and_half_precision(loss_class, case):
    logits, label = case
    assert torch.autograd.gradcheck(lambda x: loss_class()(x, label), logits, fast_mode=True)
    loss = loss_class()(logits, torch.full_like(label, VOID))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()
    half = logits.detach().bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        loss = loss_class()(half, label)
    assert torch.equal(loss, loss_class()(half.float(), label))


@EVERY
def test_weight_avg_factor_and_reductions(loss_class, case):
    logits, label = case
    pixels = loss_class(reduction='none')(logits, label)
    mean = loss_class()(logits, label)
    expected = dict(none=pixels, sum=pixels.sum(), mean=mean)
    for default, override in itertools.product(expected, repeat=2):
        loss = loss_class(reduction=default)
        assert torch.equal(loss(logits, label), expected[default])
        assert torch.equal(loss(logits, label, reduction_override=override), expected[override])
    weight = torch.rand(label.shape)
    total = loss_class()(logits, label, weight=weight, reduction_override='sum')
    torch.testing.assert_close(total, (pixels * weight).sum())
    mean = loss_class(loss_weight=0.5)(logits, label, weight=weight, avg_factor=7)
    torch.testing.assert_close(mean, total / 14, rtol=1e-6, atol=0)


@needs_mmseg
@EVERY_RIVAL
def test_trains_in_a_head(loss_class, case, make_samples):
    from mmseg.registry import MODELS

    loss_decode = [dict(type=loss_class.__name__), dict(type='BoundaryAwareLoss')]
    cfg = dict(type='FCNHead', in_channels=4, channels=4, num_convs=1, num_classes=3)
    head = MODELS.build(dict(cfg, loss_decode=loss_decode))
    losses = head.loss([torch.randn(2, 4, 5, 6)], make_samples(case[1]), {})
    name = RIVALS[loss_class][0]
    assert list(losses) == [name, 'loss_bal', 'acc_seg']
    losses[name].backward()
    assert head.conv_seg.weight.grad.abs().sum() > 0


@needs_mmseg
def test_what_of_mmsegmentation_is_usable(case):
    from mmseg.registry import MODELS

    logits, label = case[0].float(), case[1]
    for options in (dict(), dict(use_sigmoid=True)):
        cfg = dict(type='CrossEntropyLoss', **options)
        assert BoundaryAwareLoss(pixel_loss=cfg)(logits, label).isfinite()
    with pytest.raises(ValueError, match='OhemCrossEntropy cannot give a loss for every pixel'):
        BoundaryAwareLoss(pixel_loss=dict(type='OhemCrossEntropy'))
    # Why there is a focal loss here: it picks one column of the one-hot labels, on a CPU.
    with pytest.raises((ValueError, RuntimeError)):
        MODELS.build(dict(type='FocalLoss'))(logits, label)


COMPILED = {
    'literal': lambda: BoundaryAwareLoss(kernel_size=5),
    'normalize': lambda: BoundaryAwareLoss(normalize='mean', avg_non_ignore=True),
    'running': lambda: BoundaryAwareLoss(normalize='running'),
    'class_weight': lambda: BoundaryAwareLoss(class_weight=CLASS_WEIGHT),
    'pixel_loss': lambda: BoundaryAwareLoss(pixel_loss=SoftmaxFocalLoss()),
    # U-Net's distances are OpenCV's, which is no part of a graph.
    **{kind.__name__: kind for kind in RIVALS if kind is not BorderWeightLoss},
}


@pytest.mark.parametrize('name', COMPILED)
def test_compiled_in_one_graph(name, case):
    torch.compiler.reset()
    logits, label = case
    loss = COMPILED[name]()
    compiled = torch.compile(COMPILED[name](), fullgraph=True, backend='aot_eager')
    logits = logits.detach().requires_grad_()
    for given in (label, label.flip(1)):
        value, expected = compiled(logits, given), loss(logits, given)
        torch.testing.assert_close(value, expected)
        gradients = [torch.autograd.grad(v, logits)[0] for v in (value, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('use_sigmoid', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiled_once_for_all_sizes(use_sigmoid, generator):
    torch.compiler.reset()
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph

    loss = BoundaryAwareLoss(kernel_size=5, normalize='mean', use_sigmoid=use_sigmoid)
    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend=count)
    for n, classes, size in ((2, 3, (9, 12)), (3, 5, (16, 11)), (4, 7, (13, 20))):
        logits = torch.randn(n, 1 if use_sigmoid else classes, *size, generator=generator)
        label = torch.randint(2 if use_sigmoid else classes, (n, *size), generator=generator)
        label[0, :2] = 255
        weight = torch.rand(n, *size, generator=generator)
        given = dict(weight=weight, boundary_weight=1 + weight)
        for options in (dict(), given):
            torch.testing.assert_close(
                compiled(logits, label, **options), loss(logits, label, **options)
            )
    assert len(graphs) == 2  # with and without weights


def test_compiled_for_one_channel_and_for_several(generator):
    """A size that was 1 before and is not now is a symbol in the second graph."""
    torch.compiler.reset()
    label = torch.randint(2, (2, 9, 12), generator=generator)
    for use_sigmoid, channels in ((True, 1), (False, 4), (False, 3)):
        logits = torch.randn(2, channels, 9, 12, generator=generator)
        loss = BoundaryAwareLoss(kernel_size=5, use_sigmoid=use_sigmoid)
        compiled = torch.compile(loss, fullgraph=True, backend='eager')
        torch.testing.assert_close(compiled(logits, label), loss(logits, label))


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize('name', COMPILED)
def test_deterministic_and_open_about_nan(name, case, deterministic):
    """No operation refuses to run, and bits repeat; on a GPU too, where there is one."""
    logits, label = case
    loss = COMPILED[name]().eval()
    devices = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]
    for device in devices:
        there, at = logits.detach().to(device).requires_grad_(), label.to(device)
        on_device = loss.to(device)
        runs = []
        for _ in range(2):
            value = on_device(there, at)
            runs.append((value, *torch.autograd.grad(value, there)))
        assert all(torch.equal(*pair) for pair in zip(*runs, strict=True))
        torch.testing.assert_close(runs[0][0].cpu(), loss.cpu()(logits, label))
    broken = logits.detach().clone()
    broken[0, 1, 0, 0] = torch.nan
    assert loss(broken, label).isnan()


def test_void_by_its_former_name():
    with pytest.warns(DeprecationWarning, match='resolve_ignore_index'):
        assert SoftmaxFocalLoss(ignore_index=7).void(None) == 7
