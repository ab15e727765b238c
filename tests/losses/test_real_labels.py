"""The weight map, float32, against the plain reference, float64, on real label maps.

By default on a sample; ``pytest -m long tests/losses/test_real_labels.py`` takes all of them.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.ops import boundary_edges
from mmseg_pacbal.ops.reference import boundary_weight_map_reference
from tests.conftest import DATA
from tests.reference import boundary_edges_reference

FOLDERS = {'voc': DATA / 'voc_labels', 'camvid': DATA / 'camvid' / 'labels'}

# Rows of Table 1 and kernels beyond it; with each, every setting of the switches.
KERNELS = (
    dict(),
    dict(sigma=1.0, kernel_size=25),
    dict(kernel='linear', kernel_size=15, beta=0.3),
    dict(kernel_size=15, downsample=2),
    dict(kernel='linear', downsample=8, beta=0.0),
    dict(kernel_size=101, sigma=1e-3, beta=2.0, downsample=50),
    dict(kernel_size=3, downsample=1),
)
SWITCHES = ('antialias', 'void_edges', 'ignore_padding')
OPTIONS = [{}] + [
    dict(**kernel, **dict(zip(SWITCHES, on, strict=True)))
    for kernel, on in itertools.product(KERNELS, itertools.product((True, False), repeat=3))
]


def assert_right(path: Path, options: dict) -> None:
    label = torch.from_numpy(np.array(Image.open(path)))[None]
    expected = boundary_weight_map_reference(label, **options)
    actual = BoundaryAwareLoss(**options).weight_map(label)
    assert actual.dtype == torch.float32
    error = ((actual - expected).abs().max() / expected.max().clamp(min=1e-30)).item()
    assert error <= 1e-5, f'{path} {options}: {error:.2e} of the maximum'
    switches = {name: options[name] for name in SWITCHES[1:] if name in options}
    edges = boundary_edges(label, **switches)
    assert torch.equal(edges.double(), boundary_edges_reference(label, **switches)), path


def labels_of(name: str) -> list[Path]:
    paths = sorted(FOLDERS[name].rglob('*.png'))
    if not paths:
        pytest.skip(f'{FOLDERS[name]} is not here')
    return paths


@pytest.mark.parametrize(('name', 'every'), [('voc', 101), ('camvid', 97)])
def test_sample_of_the_labels(name, every):
    for index, path in enumerate(labels_of(name)[::every]):
        assert_right(path, OPTIONS[index * 7 % len(OPTIONS)])


@pytest.mark.long
@pytest.mark.parametrize('part', range(10))
@pytest.mark.parametrize('name', FOLDERS)
def test_all_labels(name, part):
    # Each label with one of the 57 settings; the defaults apart, they come in turn.
    for index, path in list(enumerate(labels_of(name)))[part::10]:
        assert_right(path, OPTIONS[index % len(OPTIONS)])
