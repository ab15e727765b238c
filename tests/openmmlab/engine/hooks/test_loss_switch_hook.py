"""Training with some losses first and others after them."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmseg.registry import HOOKS, MODELS

from mmseg_pacbal.configs import load_config

SWITCH = dict(type='LossSwitchHook', first=['loss_bal'], then=['loss_ce', 'loss_bal'], at=0.5)


@pytest.fixture
def runner() -> SimpleNamespace:
    """A runner of 8 iterations, whose head names a third loss too."""
    cfg = load_config('configs/deeplabv3_camvid_mini.py')
    cfg.model.backbone.norm_cfg.type = cfg.model.decode_head.norm_cfg.type = 'BN'
    cfg.model.decode_head.loss_decode = [
        dict(type='CrossEntropyLoss'),
        dict(type='BoundaryAwareLoss', normalize='mean'),
        dict(type='LovaszLoss', reduction='none'),
    ]
    hub = MessageHub.get_instance('loss_switch')
    return SimpleNamespace(model=MODELS.build(cfg.model), iter=0, max_iters=8, message_hub=hub)


def losses_of(runner: SimpleNamespace) -> list[str]:
    logits, label = torch.zeros(1, 11, 9, 9), torch.arange(81).reshape(1, 1, 9, 9) % 11
    sample = SimpleNamespace(gt_sem_seg=SimpleNamespace(data=label[0]))
    values = runner.model.decode_head.loss_by_feat(logits, [sample])
    return [name for name in values if name.startswith('loss')]


def test_each_half_computes_its_own_losses_and_logs_no_old_ones(runner):
    keys = list(runner.model.state_dict())
    hook = HOOKS.build(SWITCH)
    hook.before_train(runner)
    computed = []
    for runner.iter in range(8):
        hook.before_train_iter(runner, runner.iter)
        computed.append(losses_of(runner))
        for name in computed[-1]:
            runner.message_hub.update_scalar(f'train/decode.{name}', 1.0)
    assert computed == [['loss_bal']] * 4 + [['loss_ce', 'loss_bal']] * 4

    hook.then = ['loss_ce']
    hook.before_train_iter(runner, 7)
    assert 'train/decode.loss_bal' not in runner.message_hub.log_scalars
    assert 'train/decode.loss_ce' in runner.message_hub.log_scalars

    hook.after_train(runner)
    assert losses_of(runner) == ['loss_ce', 'loss_bal', 'loss_lovasz']
    assert list(runner.model.state_dict()) == keys  # a checkpoint fits whatever is in use


def test_a_resumed_training_takes_the_losses_of_its_iteration(runner):
    hook = HOOKS.build(SWITCH)
    hook.before_train(runner)
    runner.iter = 6
    hook.before_train_iter(runner, 0)
    assert losses_of(runner) == ['loss_ce', 'loss_bal']


def test_unknown_loss(runner):
    hook = HOOKS.build(SWITCH | dict(then=['loss_dice']))
    with pytest.raises(ValueError, match="loss_ce, loss_bal, loss_lovasz, but got 'loss_dice'"):
        hook.before_train(runner)


@pytest.mark.parametrize('at', [-0.1, 1.5, 'half'])
def test_at_is_a_share(at):
    with pytest.raises(ValueError, match='at must be a number from 0 to 1, but got'):
        HOOKS.build(SWITCH | dict(at=at))
