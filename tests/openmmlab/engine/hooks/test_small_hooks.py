"""Memory layout, frozen statistics, losses in turn, and who writes the record of a test."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmseg.registry import HOOKS, MODELS
from torch import nn

from mmseg_pacbal.configs import load_config


def build(config: str, *losses: dict) -> nn.Module:
    torch.manual_seed(0)
    cfg = load_config(f'configs/{config}.py')
    cfg.model.backbone.norm_cfg.type = cfg.model.decode_head.norm_cfg.type = 'BN'
    if losses:
        cfg.model.decode_head.loss_decode = losses
    return MODELS.build(cfg.model)


# --- channels_last ---


def step(model: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Logits, and the layout of the features of every stage, as whether it is channels_last."""
    features = model.backbone(image)
    layouts = [f.is_contiguous(memory_format=torch.channels_last) for f in features]
    return model.decode_head(features), layouts


def test_features_take_the_layout_of_the_weights():
    model = build('pac_bal_camvid_mini').eval()  # running statistics: rounding stays small
    image = torch.randn(2, 3, 33, 41)
    plain, layouts = step(model, image)
    gradient = torch.randn_like(plain)
    plain.backward(gradient)
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert not any(layouts)
    model.zero_grad()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=model))
    model.load_state_dict(state)  # a checkpoint in the other layout does not change it
    logits, layouts = step(model, image)
    logits.backward(gradient)
    assert all(layouts)
    assert expected
    pairs = [(model.get_parameter(name).grad, value) for name, value in expected.items()]
    for actual, value in [(logits, plain), *pairs]:  # float32 sums in another order
        assert (actual - value).norm() < 1e-4 * value.norm()


# --- frozen statistics ---


def test_statistics_stay_and_weights_learn():
    def part() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5))

    model = nn.ModuleDict(dict(backbone=part(), head=part()))
    runner = SimpleNamespace(model=model.train())  # as the loop does after a validation
    HOOKS.build(dict(type='FrozenStatisticsHook')).before_train_iter(runner, 0)
    image = torch.randn(2, 2, 4, 4) + 5
    for name in ('backbone', 'head'):
        norm = model[name][1]
        before = norm.running_mean.clone()
        model[name](image).square().sum().backward()
        assert torch.equal(norm.running_mean, before) == (name == 'backbone')
        assert norm.weight.grad.abs().min() > 0
    assert model['backbone'][2].training  # batch norm alone is frozen

    hook = HOOKS.build(dict(type='FrozenStatisticsHook', module='head.0'))
    with pytest.raises(ValueError, match=r"a part with batch norms, but got 'head\.0'"):
        hook.before_train_iter(runner, 0)
    with pytest.raises(ValueError, match="module must be a name such as 'backbone', but got 3"):
        HOOKS.build(dict(type='FrozenStatisticsHook', module=3))


# --- losses in turn ---

SWITCH = dict(type='LossSwitchHook', first=['loss_bal'], then=['loss_ce', 'loss_bal'], at=0.5)


@pytest.fixture
def runner() -> SimpleNamespace:
    """A runner of 8 iterations, whose head names a third loss too."""
    bal = dict(type='BoundaryAwareLoss', normalize='mean')
    losses = dict(type='CrossEntropyLoss'), bal, dict(type='LovaszLoss', reduction='none')
    model = build('deeplabv3_camvid_mini', *losses)
    hub = MessageHub.get_instance('loss_switch')
    return SimpleNamespace(model=model, iter=0, max_iters=8, message_hub=hub)


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

    resumed = HOOKS.build(SWITCH)
    resumed.before_train(runner)
    runner.iter = 6
    resumed.before_train_iter(runner, 0)
    assert losses_of(runner) == ['loss_ce', 'loss_bal']


def test_arguments_of_the_switch(runner):
    hook = HOOKS.build(SWITCH | dict(then=['loss_dice']))
    with pytest.raises(ValueError, match="loss_ce, loss_bal, loss_lovasz, but got 'loss_dice'"):
        hook.before_train(runner)
    for at in (-0.1, 1.5, 'half'):
        with pytest.raises(ValueError, match='at must be a number from 0 to 1, but got'):
            HOOKS.build(SWITCH | dict(at=at))


# --- the record of a test ---


@pytest.mark.parametrize('rank', [0, 1])
def test_the_main_process_alone_writes(rank, tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: rank)
    hook = HOOKS.build(load_config('configs/pac_bal_demo.py').default_hooks.logger)
    assert type(hook).__name__ == 'MainProcessLoggerHook'
    hook.json_log_path = 'test.json'
    processor = SimpleNamespace(get_log_after_epoch=lambda *args, **kwargs: (dict(mIoU=41.5), ''))
    logger = MMLogger.get_instance('test')
    runner = SimpleNamespace(
        log_dir=tmp_path, log_processor=processor, logger=logger, test_dataloader=[]
    )
    hook.after_test_epoch(runner, dict(mIoU=41.5))
    written = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert written == ({} if rank else {'test.json': dict(mIoU=41.5)})
