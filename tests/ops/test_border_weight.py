"""U-Net's weight map against a naive one that compares every pixel with every pixel."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mmseg_pacbal.ops import border_weight_map

VOID = 255


def naive(label: Tensor, w0: float, sigma: float, background: int | None = None) -> Tensor:
    """Eq. 2 of Ronneberger et al. pixel by pixel."""
    weights = torch.ones(label.shape)
    for image, weight in zip(label.numpy(), weights, strict=True):
        objects = []
        for value in set(image.ravel().tolist()) - {VOID, background}:
            component, count = ndimage.label(image == value, structure=np.ones((3, 3)))
            objects += [np.argwhere(component == n) for n in range(1, count + 1)]
        if len(objects) > 1:
            for place in np.ndindex(image.shape):
                away = sorted(np.hypot(*(pixels - place).T).min() for pixels in objects)
                weight[place] = 1 + w0 * math.exp(-((away[0] + away[1]) ** 2) / (2 * sigma**2))
    return weights


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 5), (11, 17)])
@pytest.mark.parametrize('background', [None, 0])
def test_naive(size, background, generator):
    label = torch.randint(0, 4, (2, *size), generator=generator).repeat_interleave(3, 2)
    label[label == 3] = VOID
    for w0, sigma in ((10.0, 5.0), (3.0, 0.7)):
        found = border_weight_map(label, w0=w0, sigma=sigma, background=background)
        torch.testing.assert_close(found, naive(label, w0, sigma, background), rtol=1e-5, atol=1e-5)


def test_real_labels(camvid_labels):
    for label in camvid_labels[:3]:
        part = label[None, 100:140, 200:240]
        found = border_weight_map(part, sigma=2.34)
        torch.testing.assert_close(found, naive(part, 10.0, 2.34), rtol=1e-5, atol=1e-5)
        for dtype in (torch.int32, torch.int64):
            assert torch.equal(border_weight_map(part.to(dtype), sigma=2.34), found)


def test_by_hand():
    # Two objects with two pixels of background between: d1 + d2 = 1 + 2 there.
    label = torch.tensor([[[1, 1, 0, 0, 1, 1]]])
    found = border_weight_map(label, w0=10, sigma=2, background=0)[0, 0]
    between = 1 + 10 * math.exp(-9 / 8)
    within = [1 + 10 * math.exp(-((0 + d2) ** 2) / 8) for d2 in (4, 3)]
    expected = [*within, between, between, *reversed(within)]
    torch.testing.assert_close(found, torch.tensor(expected))
    apart = torch.tensor([[[1, 1, 1, VOID, VOID, VOID, 1, 1, 1]]])  # one class, two objects
    middle = border_weight_map(apart, sigma=5.0)[0, 0, 4].item()  # two pixels from either
    assert middle == pytest.approx(1 + 10 * math.exp(-16 / 50))
    assert (border_weight_map(apart[..., :5]) == 1).all()
    assert (border_weight_map(apart[..., 3:5]) == 1).all()


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (dict(w0=-1), 'w0 must be a finite number, 0 or more, but got -1'),
        (dict(sigma=0), 'sigma must be a finite number above 0, but got 0'),
        (dict(background='sky'), "background must be None or a class, but got 'sky'"),
        (dict(label=torch.zeros(2, 2).long()), r'label must have shape \(N, H, W\)'),
    ],
)
def test_arguments(setting, message):
    with pytest.raises(ValueError, match=message):
        border_weight_map(**{'label': torch.zeros(1, 2, 2).long(), **setting})
