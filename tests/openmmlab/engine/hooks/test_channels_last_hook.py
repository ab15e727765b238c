"""Training and testing in torch.channels_last."""

from types import SimpleNamespace

import pytest
import torch
from mmseg.registry import HOOKS, MODELS

from mmseg_pacbal.configs import load_config

CONFIG = 'configs/pac_bal_camvid_mini.py'


def step(model: torch.nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Logits, and the layout of the features of every stage, as whether it is channels_last."""
    features = model.backbone(image)
    layouts = [f.is_contiguous(memory_format=torch.channels_last) for f in features]
    return model.decode_head(features), layouts


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """As equal as float32 allows: sums are in another order."""
    assert (actual - expected).norm() < 1e-4 * expected.norm()


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    cfg = load_config(CONFIG)
    cfg.model.backbone.norm_cfg.type = cfg.model.decode_head.norm_cfg.type = 'BN'
    return MODELS.build(cfg.model).eval()  # running statistics: rounding stays small


def test_features_take_the_layout_of_the_weights(model):
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
    close(logits, plain)
    assert expected
    for name, value in expected.items():
        close(model.get_parameter(name).grad, value)
