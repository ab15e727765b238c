"""The arguments of MMSegmentation's ``BaseDecodeHead``, most of which it takes unchecked."""

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS, TASK_UTILS
from torch import Tensor

from ...ops.arguments import BOOL, INT, POSITIVE_INT, SHARE, Accepted, check_arguments, is_int
from ..arguments import config_of, none_or

_SEVERAL = "with input_transform='resize_concat', one for each feature of the backbone it takes"
_LOSS = config_of('loss', 'CrossEntropyLoss', MODELS)
ACCEPTED = dict(
    in_channels=Accepted(
        f'a positive integer, or, {_SEVERAL}',
        lambda value: all(map(POSITIVE_INT.test, _listed(value))),
    ),
    channels=POSITIVE_INT,
    num_classes=POSITIVE_INT,
    threshold=none_or(SHARE),
    dropout_ratio=SHARE,
    conv_cfg=none_or(config_of('convolution', 'Conv2d', MODELS)),
    norm_cfg=none_or(config_of('norm', 'BN', MODELS)),
    act_cfg=none_or(config_of('activation', 'ReLU', MODELS)),
    in_index=Accepted(
        f'an integer, or, {_SEVERAL}', lambda value: all(map(is_int, _listed(value)))
    ),
    input_transform=Accepted("None or 'resize_concat'", lambda v: v in (None, 'resize_concat')),
    loss_decode=Accepted(
        f'{_LOSS.words}, or a list of such',
        lambda value: value != [] and all(map(_LOSS.test, _listed(value))),
    ),
    ignore_index=INT,
    sampler=none_or(config_of('pixel sampler', 'OHEMPixelSampler', TASK_UTILS)),
    align_corners=BOOL,
    init_cfg=Accepted(
        'None, a dict or a list of dicts',
        lambda value: value is None or all(isinstance(v, dict) for v in _listed(value)),
    ),
)


def check_head_arguments(**arguments: Any) -> None:
    """Raise unless a head with one feature map as its input can take these arguments.

    Raises:
        ValueError: One is out of range, or does not go with another.
    """
    check_arguments(ACCEPTED, **{n: v for n, v in arguments.items() if n in ACCEPTED})
    _check_output(arguments.get('num_classes'), arguments.get('out_channels'))
    several = arguments.get('input_transform') is not None
    channels, index = (arguments.get(name, -1) for name in ('in_channels', 'in_index'))
    for name, value in (('in_channels', channels), ('in_index', index)):
        if isinstance(value, (list, tuple)) != several:
            raise ValueError(f'{name} must be {ACCEPTED[name].words}, but got {value!r}')
    if several and len(channels) != len(index):
        raise ValueError(
            f'in_channels must have one entry for each of in_index={index!r}, but got {channels!r}'
        )


def check_features(head: BaseDecodeHead, inputs: Sequence[Tensor]) -> None:
    """Raise unless the backbone's features, each (N, C, H, W), are those that a head was made for.

    Raises:
        ValueError: There is no feature in_index, or it has not in_channels channels.
    """
    wanted = _listed(head.in_index)
    if not all(-len(inputs) <= index < len(inputs) for index in wanted):
        raise ValueError(
            f'in_index must select from the features of the backbone, 0..{len(inputs) - 1}, '
            f'but got {head.in_index!r}'
        )
    found = sum(inputs[index].shape[1] for index in wanted)
    if found != head.in_channels:
        raise ValueError(
            f'in_channels must be {found} as the backbone gives at in_index={head.in_index!r}, '
            f'but got {head.in_channels}'
        )


def _check_output(num_classes: int | None, out_channels: object) -> None:
    if out_channels not in (None, num_classes) and (num_classes, out_channels) != (2, 1):
        raise ValueError(
            f'out_channels must be None or num_classes={num_classes}, or 1 where num_classes is '
            f'2, but got {out_channels!r}'
        )


def _listed(value: object) -> list | tuple:
    return value if isinstance(value, (list, tuple)) else [value]
