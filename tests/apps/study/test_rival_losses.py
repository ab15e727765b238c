"""Study 3: rival losses get the same effort, and each does with void what its row says."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmseg_pacbal.apps.study.plan import load_study, plan_runs
from mmseg_pacbal.openmmlab.heads import head_losses

VOID = 255
STUDY = load_study('rival_losses', 'camvid_mini')
TUNING = load_study('rival_losses_tuning', 'camvid_mini')


def test_the_same_effort_for_each():
    assert STUDY.seeds == (0, 1, 2, 3, 4)
    assert TUNING.seeds == (0,)
    assert len(STUDY.rows) == 9
    for name in STUDY.rows:
        large = name in ('bal_literal', 'cross_entropy_x37')
        rates = (0.2, 0.0333, 0.0054) if large else (0.1, 0.2, 0.4)
        rows = [f'{name}_{rate}' for rate in rates]
        runs = plan_runs(TUNING, rows, TUNING.seeds, {})
        assert [run.cfg.optim_wrapper.optimizer.lr for run in runs] == list(rates)
    assert len(TUNING.rows) == 3 * 9


@pytest.mark.parametrize('seed', [0, 3])
def test_rows_are_those_that_were_tuned(seed):
    """Up to the learning rate, and for every seed."""
    for run in plan_runs(STUDY, STUDY.rows, [seed], {}):
        lr = run.cfg.optim_wrapper.optimizer.lr
        (tuned,) = plan_runs(TUNING, [f'{run.row}_{lr}'], [seed], {})
        assert tuned.fingerprint == run.fingerprint


def test_losses():
    found = {run.row: run.cfg.model.decode_head for run in plan_runs(STUDY, STUDY.rows, [0], {})}
    losses = {name: head.loss_decode for name, head in found.items()}
    assert losses['cross_entropy'] == dict(
        type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0
    )
    assert losses['cross_entropy_x37'] == losses['cross_entropy'] | dict(loss_weight=37.0)
    assert losses['ohem'] == losses['cross_entropy']
    assert found['ohem'].sampler.type == 'OHEMPixelSampler'
    assert [loss.type for loss in losses['dice_ce']] == ['CrossEntropyLoss', 'DiceLoss']
    assert losses['lovasz'] == dict(type='LovaszLoss', reduction='none')
    assert (losses['bal'].normalize, losses['bal_literal'].normalize) == ('mean', None)
    assert losses['bal'] | dict(normalize=None) == losses['bal_literal']
    assert losses['unet'].sigma == pytest.approx(5 * 240 / 512, abs=0.005)


def test_joint_losses():
    """Study 7: BAL and Lovász as they are alone, three learning rates for each way of joining."""
    study = load_study('joint_losses_tuning', 'camvid_mini')
    alone = {run.row: run.cfg for run in plan_runs(STUDY, ['bal', 'lovasz'], [0], {})}
    both = [alone[row].model.decode_head.loss_decode for row in ('bal', 'lovasz')]
    late = dict(type='LossSwitchHook', first=['loss_bal'], then=['loss_lovasz'], at=0.5)
    for name, head, hooks in (
        ('lovasz_bal', 'ASPPHead', None),
        ('pac_lovasz_bal', 'PACHead', None),
        ('bal_lovasz_late', 'ASPPHead', [late]),
    ):
        runs = plan_runs(study, [f'{name}_{rate}' for rate in (0.1, 0.2, 0.4)], [0], {})
        assert [run.cfg.optim_wrapper.optimizer.lr for run in runs] == [0.1, 0.2, 0.4]
        for run in runs:
            assert run.cfg.model.decode_head.type == head
            assert run.cfg.model.decode_head.loss_decode == both
            assert run.cfg.get('custom_hooks') == hooks
    assert len(study.rows) == 3 * 3


@pytest.mark.parametrize('row', STUDY.rows)
def test_what_is_predicted_in_void(row, make_samples):
    """It changes nothing but Dice, which takes it for wrong."""
    init_default_scope('mmseg')
    (run,) = plan_runs(STUDY, [row], [0], {})
    head = run.cfg.model.decode_head
    head.norm_cfg.type = 'BN'
    built = MODELS.build(head)
    label = torch.randint(0, 11, (2, 24, 24), generator=torch.Generator().manual_seed(0))
    label[:, :, 12:] = VOID
    logits = torch.randn(2, 11, 24, 24, generator=torch.Generator().manual_seed(1))

    def total(scores: torch.Tensor) -> torch.Tensor:
        losses = built.loss_by_feat(scores, make_samples(label))
        return sum(value for name, value in losses.items() if name.startswith('loss'))

    other = logits.clone()
    other[..., 12:] *= 5
    changed = not torch.allclose(total(logits), total(other), rtol=1e-6, atol=0)
    assert changed == (row == 'dice_ce')
    logits.requires_grad_()
    total(logits).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[..., :12].abs().max() > 0
    assert len(list(head_losses(built))) == (2 if row == 'dice_ce' else 1)
