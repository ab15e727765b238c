"""What heads read from a backbone: found before training starts, and said by names of settings."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from ..configs import heads


@contextmanager
def explained_heads(cfg: Config) -> Iterator[None]:
    """Give a sentence to MMSegmentation's bare assertions on what a head reads."""
    try:
        yield
    except AssertionError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_code is not BaseDecodeHead._init_inputs.__code__:
            raise
        index, channels = (frame.f_locals[name] for name in ('in_index', 'in_channels'))
        paths = (
            path
            for path, head in heads(cfg)
            if (head.get('in_index', -1), head.get('in_channels')) == (index, channels)
        )
        path = next(paths, 'model.decode_head')
        raise ValueError(
            f'{path} has in_index={index}, in_channels={channels}, '
            f'input_transform={frame.f_locals["input_transform"]!r}; accepted are one feature and '
            'its number of channels without input_transform, or two lists of one length with '
            f"{path}.input_transform='resize_concat', which enlarges features to the size of the "
            'first'
        ) from error


@torch.no_grad()
def check_features(model: Any) -> None:
    """Check that the backbone has the features that the heads read, with as many channels.

    One empty image of the size that training crops to goes through the backbone. Models without
    that size, or whose features are no maps, pass.
    """
    size = getattr(getattr(model, 'data_preprocessor', None), 'size', None)
    if size is None or not hasattr(model, 'extract_feat'):
        return
    convolutions = (m for m in model.backbone.modules() if isinstance(m, nn.Conv2d))
    bands = next((stem.in_channels for stem in convolutions), 3)
    device, training = next(model.parameters()).device, model.training
    features = model.eval().extract_feat(torch.zeros(1, bands, *size, device=device))
    model.train(training)
    if not isinstance(features, (list, tuple)):
        return  # some backbones give other features in training
    for name, head in model.named_modules():
        if isinstance(head, BaseDecodeHead):
            _check_head(f'model.{name}', head, features)


def _check_head(path: str, head: BaseDecodeHead, features: Sequence[Any]) -> None:
    several = isinstance(head.in_index, (list, tuple))
    for index in head.in_index if several else [head.in_index]:
        check_index(path, index, len(features))
        if not isinstance(features[index], Tensor) or features[index].dim() != 4:
            return
    if problem := channels_problem(path, head, features):
        raise ValueError(problem)
    low_level = getattr(head, 'c1_bottleneck', None)  # of DepthwiseSeparableASPPHead
    if low_level and low_level.conv.in_channels != features[0].shape[1]:
        raise ValueError(
            f'{path}.c1_in_channels is {low_level.conv.in_channels}, but the first feature of the '
            f'backbone has {features[0].shape[1]} channels; set '
            f'{path}.c1_in_channels={features[0].shape[1]}'
        )


def check_index(path: str, index: int, count: int) -> None:
    """Raise ValueError unless the backbone of a head, named by its path, has such a feature."""
    if not -count <= index < count:
        raise ValueError(
            f'{path}.in_index must select from the {count} features of the backbone, '
            f'{-count}..{count - 1}, but got {index}'
        )


def channels_problem(path: str, head: BaseDecodeHead, features: Sequence[Tensor]) -> str | None:
    """What to say of a head, named by its path in the config, that reads other channels."""
    index, expected = head.in_index, head.in_channels
    several = isinstance(index, (list, tuple))
    channels = [features[i].shape[1] for i in (index if several else [index])]
    if expected in ((sum(channels), channels, tuple(channels)) if several else channels):
        return None
    what = 'adds up to' if several and isinstance(expected, int) else 'is'
    has = str(channels).replace(' ', '') if several else channels[0]
    return (
        f'{path}.in_channels {what} {expected}, but '
        f'{"features" if several else "the feature"} in_index={index} of the backbone '
        f'{"have" if several else "has"} {has} channels; set {path}.in_channels={has}'
    )
