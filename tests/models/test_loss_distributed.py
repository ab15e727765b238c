"""Two processes, each with half of the batch, against one with all of it."""

import os
import socket
import time
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg_pacbal import PACHead
from tests.conftest import _render_labels


def make_head(lean: bool) -> PACHead:
    torch.manual_seed(0)
    head = PACHead(
        in_channels=4,
        channels=4,
        num_classes=7,
        dropout_ratio=0.0,
        lean_loss=lean,
        loss_decode=dict(
            type='BoundaryAwareLoss', kernel_size=5, class_weight=[1.0, 2.0] * 3 + [1.0]
        ),
    )
    nn.init.normal_(head.conv_seg.weight)
    return head


def make_batch() -> tuple[Tensor, Tensor]:
    features = torch.randn(4, 4, 12, 12, generator=torch.Generator().manual_seed(1))
    label = torch.stack([label[:48, :48] for label in _render_labels(4)]).long()
    return features, label


class LossOfHead(nn.Module):
    """What MMDistributedDataParallel calls: features and labels in, a loss out."""

    def __init__(self, head: PACHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
        return self.head.loss([features], samples, {})['loss_bal']


def run_process(rank: int, port: int, lean: bool, folder: str) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    model = DistributedDataParallel(LossOfHead(make_head(lean)))
    half = slice(2 * rank, 2 * rank + 2)
    loss = model(*(tensor[half] for tensor in make_batch()))
    loss.backward()
    torch.distributed.all_reduce(loss := loss.detach() / 2)
    if rank == 0:
        gradients = {name: p.grad for name, p in model.module.named_parameters()}
        torch.save(dict(loss=loss, gradients=gradients), Path(folder, 'result.pt'))
    torch.distributed.barrier()
    # Without the destructors of gloo and DDP, which now and then wait for each other for ever.
    os._exit(0)


def run_two_processes(*args: object) -> None:
    """Run :func:`run_process` twice, and fail rather than wait for ever."""
    processes = mp.spawn(run_process, args, nprocs=2, join=False)
    deadline = time.monotonic() + 300
    while not processes.join(timeout=10):
        assert time.monotonic() < deadline, 'two processes did not end within five minutes'


@pytest.mark.slow
@pytest.mark.parametrize('lean', [False, True])
def test_loss_and_gradients_equal_those_of_one_process(lean, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    run_two_processes(port, lean, str(tmp_path))
    found = torch.load(tmp_path / 'result.pt')

    model = LossOfHead(make_head(lean))
    loss = model(*make_batch())
    loss.backward()
    torch.testing.assert_close(found['loss'], loss.detach(), rtol=1e-6, atol=0)
    largest = max(p.grad.abs().max() for p in model.parameters())
    for name, parameter in model.named_parameters():
        error = (found['gradients'][name] - parameter.grad).abs().max()
        assert error <= 1e-5 * largest, name
