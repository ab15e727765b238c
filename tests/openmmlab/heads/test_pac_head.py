"""The head: against a composition by hand, and as MMSegmentation drives it."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pacbal import BoundaryAwareLoss, PACHead
from tests.reference import weighted_loss_reference

EXACT = dict(rtol=1e-10, atol=1e-10)  # in float64
RATES = (1, 3, 5, 7, 9)
BACKENDS = ('auto', 'reference', 'factorized')  # those of any device


def build_head(**options) -> PACHead:
    """A small head, by its name in MMSegmentation's registry."""
    cfg = dict(
        type='PACHead',
        in_channels=8,
        channels=6,
        num_classes=4,
        norm_cfg=dict(type='BN', requires_grad=True),
        dropout_ratio=0.0,
        loss_decode=dict(type='BoundaryAwareLoss'),
    )
    return MODELS.build({**cfg, **options})


def randomized(head: PACHead) -> PACHead:
    """In float64 and evaluation mode; nothing is left at 0 or 1."""
    for tensor in (*head.parameters(), *head.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    for parameter in head.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    return head.double().eval()


def head_by_hand(head: PACHead, x: Tensor) -> Tensor:
    """Figure 3 in functional calls; the parameters by their names in the state."""
    state = head.state_dict()

    def norm_relu(y: Tensor, name: str) -> Tensor:
        mean, var = state[f'{name}.running_mean'], state[f'{name}.running_var']
        return F.batch_norm(y, mean, var, state[f'{name}.weight'], state[f'{name}.bias']).relu()

    one = norm_relu(F.conv2d(x, state['conv1x1.conv.weight']), 'conv1x1.bn')
    pooled = x.mean(dim=(2, 3), keepdim=True)
    pooled = norm_relu(F.conv2d(pooled, state['image_pool.1.conv.weight']), 'image_pool.1.bn')
    outputs = [F.conv2d(x, state['pac.weight'], padding=r, dilation=r) for r in RATES]
    if 'pac.squeeze.weight' in state:
        pac = F.conv2d(torch.cat(outputs, dim=1), state['pac.squeeze.weight'])
    else:
        pac = sum(outputs)
    pac = norm_relu(pac, 'pac.norm')
    features = torch.cat([one, pooled.expand_as(one), pac], dim=1)
    return F.conv2d(features, state['conv_seg.weight'], state['conv_seg.bias'])


@pytest.fixture
def x(generator) -> Tensor:
    return torch.randn(2, 8, 9, 12, generator=generator, dtype=torch.float64)


# The module


def test_number_of_parameters_of_the_paper():
    head = build_head(in_channels=2048, channels=256, num_classes=21)
    # Two 1x1 branches with norm, the shared 3x3 filter with norm, the classifier.
    expected = 2 * (2048 * 256 + 2 * 256) + (9 * 2048 * 256 + 2 * 256) + (768 * 21 + 21)
    assert expected == 5_784_853
    assert sum(parameter.numel() for parameter in head.parameters()) == expected
    assert type(head) is PACHead
    assert head.pac.rates == RATES
    assert head.pac.merge == 'sum'


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('merge', ['sum', 'concat'])
def test_forward_by_hand(merge, backend, x):
    head = randomized(build_head(merge=merge, backend=backend))
    for features in (x, x[:1, :, :1, :1]):  # one pixel, too
        torch.testing.assert_close(head([features]), head_by_hand(head, features), **EXACT)


def test_takes_the_feature_at_in_index(x):
    features = [x + 3, x + 2, x + 1, x]
    head = randomized(build_head())
    torch.testing.assert_close(head(features), head_by_hand(head, x), **EXACT)
    head = randomized(build_head(in_index=1))
    torch.testing.assert_close(head(features), head_by_hand(head, x + 2), **EXACT)


def test_norm_sees_each_branch_once(x):
    head = build_head()
    norms = [module for module in head.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 3
    head.double().train()([x])
    for norm in norms:
        assert norm.num_batches_tracked == 1


def test_without_norm(x):
    head = build_head(norm_cfg=None).double()
    assert set(head.state_dict()) == {
        f'{name}.{kind}'
        for name in ('conv1x1.conv', 'image_pool.1.conv', 'pac', 'conv_seg')
        for kind in ('weight', 'bias')
    }
    assert head([x]).shape == (2, 4, 9, 12)


def test_initial_weights():
    torch.manual_seed(0)
    head = build_head(in_channels=64, channels=128, num_classes=21)
    head.init_weights()
    # MMSegmentation's rule for the classifier; the filter keeps its own.
    assert head.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.pac.weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)


# As MMSegmentation drives it


def random_label(generator: torch.Generator, n: int = 2, classes: int = 4) -> Tensor:
    label = torch.randint(classes, (n, 6, 8), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.2] = 255
    return label.repeat_interleave(6, 1).repeat_interleave(6, 2)  # (N, 36, 48)


def test_several_losses(x, generator, make_samples):
    head = randomized(
        build_head(
            ignore_index=3,
            loss_decode=[
                dict(type='BoundaryAwareLoss'),
                dict(type='BoundaryAwareLoss', kernel='linear', loss_weight=0.3),
                dict(type='CrossEntropyLoss', loss_name='loss_ce'),
                dict(type='BoundaryAwareLoss', kernel_size=3, loss_name='loss_narrow'),
            ],
        )
    )
    label = random_label(generator).clamp(max=3)  # void is 3
    losses = head.loss([x], make_samples(label), train_cfg=None)
    logits = F.interpolate(head([x]), (36, 48), mode='bilinear', align_corners=False)
    bal = functools.partial(weighted_loss_reference, logits, label, ignore_index=3)
    expected = {  # equal names add up
        'loss_bal': bal() + 0.3 * bal(kernel='linear'),
        'loss_ce': F.cross_entropy(logits, label, ignore_index=3, reduction='sum') / 2 / 36 / 48,
        'loss_narrow': bal(kernel_size=3),
    }
    valid = label != 3
    expected['acc_seg'] = 100 * (logits.argmax(dim=1) == label)[valid].double().mean()[None]
    assert set(losses) == set(expected)
    for name, value in expected.items():
        actual = losses[name].to(value.dtype)
        torch.testing.assert_close(actual, value, rtol=1e-5, atol=0, msg=name)


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize(
    'backend', ['factorized', pytest.param('reference', marks=pytest.mark.slow)]
)
def test_training_changes_every_parameter(backend, autocast, generator, make_samples):
    torch.manual_seed(0)
    head = build_head(merge='concat', backend=backend, dropout_ratio=0.1)
    head.init_weights()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    x = torch.randn(4, 8, 9, 12, generator=generator)
    samples = make_samples(random_label(generator, n=4))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    losses = []
    for _ in range(30):
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            loss = head.loss([x], samples, train_cfg=None)['loss_bal']
        assert loss.dtype == torch.float32
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if len(losses) == 1:
            for name, value in head.state_dict().items():
                assert not torch.equal(value, before[name]), name
    assert min(losses[-5:]) < 0.9 * losses[0]


# A sampler


def sampled_head(x: Tensor, label: Tensor, **sampler) -> tuple[PACHead, Tensor, Tensor]:
    """A head with OHEM, its logits, and the loss of every pixel."""
    head = randomized(build_head(sampler=dict(type='OHEMPixelSampler', **sampler)))
    logits = F.interpolate(head([x]), label.shape[1:], mode='bilinear', align_corners=False)
    return head, logits, BoundaryAwareLoss(reduction='none')(logits, label)


@pytest.mark.parametrize('sampler', [dict(min_kept=100), dict(thresh=0.3, min_kept=100)], ids=str)
def test_samplers(sampler, x, generator, make_samples):
    label = random_label(generator)
    head, logits, per_pixel = sampled_head(x, label, **sampler)
    loss = head.loss([x], make_samples(label), train_cfg=None)['loss_bal']
    if 'thresh' in sampler:  # of low confidence
        valid = label != 255
        confidence = logits.softmax(1).gather(1, label.where(valid, 0)[:, None])[:, 0]
        kept = per_pixel[valid & (confidence < 0.3)]
        assert 200 < len(kept) < 0.95 * valid.sum()
    else:  # of the largest losses: 100 an image, from the whole batch
        kept = per_pixel.flatten().topk(200).values
        assert loss < 0.9 * per_pixel.mean()
    # n still counts all pixels.
    torch.testing.assert_close(loss, kept.sum() / label.numel(), rtol=1e-6, atol=0)


def test_sampler_with_void_only(x, make_samples):
    label = torch.full((2, 36, 48), 255)
    head, _, _ = sampled_head(x, label, min_kept=100)
    assert head.loss([x], make_samples(label), train_cfg=None)['loss_bal'] == 0


def test_wrong_features_are_named(x):
    with pytest.raises(
        ValueError, match=r'in_index must be .*, but got \[0, 1\]; give input_trans'
    ):
        build_head(in_index=[0, 1], in_channels=[6, 6])
    head = build_head(in_channels=7)
    sentence = f'in_channels is 7, .* has {x.shape[1]} channels; set model.decode_head.in_channels='
    with pytest.raises(ValueError, match=sentence):
        head([x])
