"""Processes with uneven parts of a batch, against one process with all of it."""

import pytest
import torch
from mmseg.registry import METRICS, MODELS
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg_pacbal import BoundaryAwareLoss
from tests.conftest import _render_labels
from tests.distributed.processes import PARTS, run_processes

pytestmark = pytest.mark.slow
CLASSES = 7
BAL = dict(type='BoundaryAwareLoss', kernel_size=5)
# name: (loss_decode, whether the head is lean)
CASES = {
    'literal': (BAL, False),
    'avg_non_ignore': ({**BAL, 'avg_non_ignore': True}, False),
    'normalize': ({**BAL, 'normalize': 'mean'}, False),
    'running': ({**BAL, 'normalize': 'running'}, False),
    'normalize, avg_non_ignore': ({**BAL, 'normalize': 'mean', 'avg_non_ignore': True}, False),
    'class_weight': ({**BAL, 'class_weight': [1.0, 2.0] * 3 + [1.0]}, False),
    'focal': (dict(type='SoftmaxFocalLoss', loss_name='loss_bal'), False),
    'weighted focal': ({**BAL, 'pixel_loss': dict(type='SoftmaxFocalLoss')}, False),
    'two': ([BAL, {**BAL, 'normalize': 'mean'}], False),
    'lean': (BAL, True),
    'lean, normalize': ({**BAL, 'normalize': 'mean', 'avg_non_ignore': True}, True),
}


def make_batch() -> tuple[Tensor, Tensor]:
    """Features and labels of 5 images; the third is all void, the last has no void."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(5, 4, 12, 12, generator=generator, dtype=torch.float64)
    label = torch.stack([label[:48, :48] for label in _render_labels(5)]).long()
    label[2] = 255
    label[4][label[4] == 255] = 0
    assert (label[3] == 255).any()
    return features, label


class LossOfHead(nn.Module):
    """What MMDistributedDataParallel wraps: features and labels in, the losses' sum out."""

    def __init__(self, case: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        loss_decode, lean = CASES[case]
        kind = dict(type='LeanHead', head='PACHead') if lean else dict(type='PACHead')
        cfg = dict(
            **kind,
            in_channels=4,
            channels=4,
            num_classes=CLASSES,
            dropout_ratio=0.0,
            loss_decode=loss_decode,
        )
        self.head = MODELS.build(cfg).double()
        nn.init.normal_(self.head.conv_seg.weight)

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=image[None])) for image in label]
        return self.head.loss([features], samples, {})['loss_bal']


def losses_and_gradients(part: slice) -> dict[str, tuple[Tensor, dict[str, Tensor]]]:
    """In each process: the loss of its part, and the gradients after DDP has averaged them."""
    results = {}
    for case in CASES:
        model = DistributedDataParallel(LossOfHead(case))
        loss = model(*(tensor[part] for tensor in make_batch()))
        loss.backward()
        gradients = {name: p.grad for name, p in model.module.named_parameters()}
        results[case] = loss.detach(), gradients
    return results


def loss_in_evaluation() -> Tensor:
    """Of the first image, in one process: with the others taking no part, it must not wait."""
    loss = BoundaryAwareLoss(normalize='mean', avg_non_ignore=True)
    score = make_batch()[0][:1, :, :, :]
    label = make_batch()[1][:1, :12, :12] % score.shape[1]
    with torch.no_grad():
        values = [loss(score, label)]
    return torch.stack([*values, loss.eval()(score, label)])


def metric_values(part: slice) -> dict[str, float]:
    """Of all images, as evaluation loops count them."""
    _, label = make_batch()
    generator = torch.Generator().manual_seed(2)
    guess = torch.randint(CLASSES, label.shape, generator=generator)
    prediction = torch.where(guess < 2, guess, label.where(label != 255, 0))
    values = {}
    for name in ('IoUMetric', 'BoundaryMetric'):
        metric = METRICS.build(dict(type=name))
        metric.dataset_meta = dict(classes=[str(index) for index in range(CLASSES)])
        for truth, predicted in zip(label[part], prediction[part], strict=True):
            fields = dict(
                gt_sem_seg=dict(data=truth[None]), pred_sem_seg=dict(data=predicted[None])
            )
            metric.process({}, [fields])
        values |= metric.evaluate(len(label))
    return values


def results_of_process(part: slice) -> dict:
    alone = torch.distributed.get_rank() == 0
    return dict(
        losses=losses_and_gradients(part),
        evaluation=loss_in_evaluation() if alone else None,
        metrics=metric_values(part),
    )


@pytest.fixture(scope='module', params=PARTS, ids='{} processes'.format)
def processes(request, tmp_path_factory) -> list[dict]:
    return run_processes(request.param, results_of_process, tmp_path_factory.mktemp('results'))


@pytest.mark.parametrize('case', CASES)
def test_loss_and_gradients_equal_those_of_one_process(case, processes):
    model = LossOfHead(case)
    expected = model(*make_batch())
    expected.backward()
    losses, gradients = zip(*(results['losses'][case] for results in processes), strict=True)
    torch.testing.assert_close(sum(losses) / len(losses), expected.detach(), rtol=1e-6, atol=0)
    largest = max(p.grad.abs().max() for p in model.parameters())
    for name, parameter in model.named_parameters():
        for gradient in gradients:
            assert (gradient[name] - parameter.grad).abs().max() <= 1e-6 * largest, name


def test_metrics_equal_those_of_one_process(processes):
    expected = metric_values(slice(None))
    assert 10 < expected['mIoU'] < 90
    assert 10 < expected['mBIoU'] < 90
    assert all(results['metrics'] == expected for results in processes)


def test_one_process_alone_may_evaluate_a_loss(processes):
    torch.testing.assert_close(processes[0]['evaluation'], loss_in_evaluation())
