"""BoundaryAwareLoss in two processes, on torch.distributed alone, against one process."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg_pacbal import BoundaryAwareLoss
from tests.conftest import _render_labels
from tests.distributed.processes import run_processes

pytestmark = pytest.mark.slow
CLASSES = 7
LOSSES = {
    'literal': dict(),
    'normalize': dict(normalize='mean', avg_non_ignore=True),
    'running': dict(normalize='running'),
    'class_weight': dict(class_weight=[1.0, 2.0] * 3 + [1.0]),
    'binary': dict(use_sigmoid=True, normalize='mean', avg_non_ignore=True),
}


def make_batch() -> tuple[Tensor, Tensor]:
    """Features and labels of 5 images; the third is all void."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(5, 4, 48, 48, generator=generator, dtype=torch.float64)
    label = torch.stack([label[:48, :48] for label in _render_labels(5)]).long()
    label[2] = 255
    return features, label


def loss_and_gradients(part: slice) -> dict[str, tuple[Tensor, Tensor]]:
    """Loss of this process, and the gradient that DDP averages, of each case."""
    features, label = (whole[part] for whole in make_batch())
    distributed = torch.distributed.is_initialized()
    found = {}
    for name, options in LOSSES.items():
        torch.manual_seed(0)
        classes, target = CLASSES, label
        if name == 'binary':
            classes, target = 1, torch.where(label == 255, 255, label % 2)
        model = nn.Conv2d(4, classes, 1).double()
        wrapped = DistributedDataParallel(model) if distributed else model
        value = BoundaryAwareLoss(kernel_size=5, **options)(wrapped(features), target)
        value.backward()
        found[name] = value.detach(), model.weight.grad
    return found


@pytest.fixture(scope='module')
def processes(tmp_path_factory) -> list[dict]:
    return run_processes(2, loss_and_gradients, tmp_path_factory.mktemp('processes'))


@pytest.mark.parametrize('name', LOSSES)
def test_two_processes_equal_one(name, processes):
    value, gradient = loss_and_gradients(slice(None))[name]
    first, second = (found[name] for found in processes)
    # The map is float32; four images are here, one there.
    torch.testing.assert_close((first[0] + second[0]) / 2, value, rtol=1e-6, atol=0)
    assert not torch.isclose(first[0], value, rtol=1e-3)
    for _, averaged in (first, second):
        torch.testing.assert_close(averaged, gradient, rtol=1e-5, atol=1e-9)
