"""What several test files share."""

import gc
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmseg_pacbal.datasets.synthetic_scene import render_scene, void_rim

DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'

# The tensors are small: threads cost more than they give. Other numbers change the order of sums.
torch.set_num_threads(int(os.environ.get('MMSEG_PACBAL_TEST_THREADS', '1')))

# Arrays and random tensors begin elsewhere in memory from one to the next; see docs/machines.md.
MOVED = os.environ.get('MMSEG_PACBAL_TEST_MEMORY') == 'moved'
if MOVED:
    from tests import moved_memory

    moved_memory.move()
    moved_memory.move_torch()


@pytest.hookimpl(tryfirst=True)  # before the fixtures
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Draw the same numbers and a test's own places in memory, whatever this process ran before."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if MOVED:
        moved_memory.move(seed=item.nodeid)


def _refuse_other_machines(event: str, arguments: tuple) -> None:
    """Audit hook: end a test that looks up or connects to anything but this machine."""
    if event == 'socket.connect':
        address = arguments[1]  # of a Unix socket a path
        host = address[0] if isinstance(address, tuple) else 'localhost'
    elif event == 'socket.getaddrinfo':
        host = arguments[0]
    else:
        return
    if host not in (None, '', 'localhost', '127.0.0.1', '::1', '0.0.0.0'):
        pytest.fail(f'{event} with {host!r}: tests do without a network')


sys.addaudithook(_refuse_other_machines)


def pytest_collection_finish() -> None:
    """Spare Python what is imported: mmengine collects garbage for each data set it builds."""
    gc.freeze()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope='session')
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data, VOC2012 with 160 + 40 scenes; to be read only."""
    # At the top it would come before mmseg_pacbal, which patches what OpenMMLab's imports need.
    from mmseg_pacbal.openmmlab.datasets import generate_synthetic_voc

    return generate_synthetic_voc(tmp_path_factory.mktemp('data') / 'VOCdevkit' / 'VOC2012')


@pytest.fixture(scope='session')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The demo's config on small images, and a checkpoint; to be read only."""
    from tests.visualization.tiny import write_checkpoint, write_config

    config = write_config(tmp_path_factory.mktemp('tiny'))
    return config, write_checkpoint(config)


@pytest.fixture(scope='session')
def voc_labels() -> list[Tensor]:
    """40 label maps (H, W) uint8, some with a void rim along every object, some without."""
    labels = _read_labels(DATA / 'voc_labels', 40) or _render_labels(40)
    rimmed = [bool((label == 255).any()) for label in labels]
    assert any(rimmed) and not all(rimmed)
    return labels


@pytest.fixture(scope='session')
def camvid_labels() -> list[Tensor]:
    """12 label maps (H, W) uint8, densely labelled, with patches of void."""
    return _read_labels(DATA / 'camvid' / 'labels', 12) or _render_labels(12)


@pytest.fixture
def make_samples() -> Callable[[Tensor], list]:
    """(N, H, W) labels -> the SegDataSample that MMSegmentation's heads take, one an image."""
    # At the top they would come before mmseg_pacbal, which patches what OpenMMLab's imports need.
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    def make(label: Tensor) -> list[SegDataSample]:
        return [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]

    return make


def _read_labels(folder: Path, count: int) -> list[Tensor]:
    """Evenly spaced files of a folder; none where the folder is absent."""
    paths = sorted(folder.rglob('*.png'))
    paths = paths[:: max(1, len(paths) // count)][:count]
    return [torch.from_numpy(np.array(Image.open(path))) for path in paths]


def _render_labels(count: int) -> list[Tensor]:
    """Generated scenes of both kinds in turn, for where the data is absent."""
    labels = []
    for index in range(count):
        label = render_scene(np.random.default_rng(index), (120 + index, 160 - index))[1]
        labels.append(torch.from_numpy(void_rim(label) if index % 2 else label))
    return labels
