"""timm's models as backbones: their features are examined before the real model is built."""

import difflib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from mmengine.config import Config, ConfigDict

from ..configs import get_setting, heads, set_values, type_name
from ..errors import torchvision_for_torch
from .feature_checks import check_index

# Arguments that MMSegmentation's TIMMBackbone does not pass on to timm under the same name.
_NOT_TIMM = (
    *('type', '_scope_', 'init_cfg', 'norm_layer', 'model_name', 'pretrained'),
    *('checkpoint_path', 'in_channels'),
)
_TRIAL = (97, 161)  # height and width in pixels: odd, as images of a data set may be


class Feature(NamedTuple):
    """A feature of a timm model: ``feature_info``, and its shape for an image of _TRIAL pixels."""

    channels: int
    stride: int  # pixels of the image for one pixel of the feature, in either direction
    number: int  # in out_indices
    shape: tuple[int, ...]  # (C, H, W)


def follow_timm(cfg: Config) -> None:
    """Adapt a config with MMSegmentation's ``TIMMBackbone`` to the timm model that it names.

    If the model can be built with the config's ``output_stride``, it is. Otherwise its own features
    are used up to the deepest one with this stride, so that ``in_index=-1`` selects that one. The
    heads' ``in_channels`` are set and, for pretrained weights, the mean and standard deviation with
    which images are normalised.

    The config is changed in place; every change is printed. ValueError says that there is no such
    model, or no feature of that stride or ``in_index``, or that it takes no images of any size.
    """
    model = get_setting(cfg, 'model.module') if 'module' in cfg.model else cfg.model
    backbone = model.get('backbone')  # a model of your own may have none
    if not backbone or type_name(backbone) != 'TIMMBackbone':
        return
    try:
        import timm
    except Exception as error:  # torchvision, which it needs, raises RuntimeError
        raise ImportError(
            "model.backbone.type='TIMMBackbone' needs timm, and a torchvision that fits torch, but "
            f'timm cannot be imported ({error}); {torchvision_for_torch()} && pip install timm'
        ) from error
    name, stride = backbone.model_name, backbone.get('output_stride')
    _check_name(timm, name)
    features = _features(timm, backbone, stride)
    if not features:
        features = _up_to_stride(name, _features(timm, backbone, None), stride)
        place = [('model.backbone', backbone)]
        set_values(place, 'output_stride', None)
        set_values(place, 'out_indices', tuple(feature.number for feature in features))
    _check_grid(name, features)
    for path, head in heads(cfg):
        channels = _channels(path, head.get('in_index', -1), features)
        set_values([(path, head)], 'in_channels', channels)
    pretrained = timm.get_pretrained_cfg(name)
    if backbone.get('pretrained', True) and pretrained:
        # Images are normalised as those that the weights were trained with.
        for key in ('mean', 'std'):
            value = [round(255 * share, 3) for share in getattr(pretrained, key)]
            set_values([('model.data_preprocessor', model.data_preprocessor)], key, value)


def _check_name(timm: ModuleType, name: str) -> None:
    if ':' not in name and not timm.is_model(name):  # such as hf-hub:...
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f'did you mean {" or ".join(close)}? ' if close else ''
        raise ValueError(
            f'timm has no model.backbone.model_name={name!r}; {hint}timm.list_models() names all'
        )


def _unsuitable(name: str, reason: str) -> ValueError:
    return ValueError(
        f'model.backbone.model_name={name!r} {reason}, or choose another, such as resnet50, '
        'efficientnet_b0, mobilenetv3_large_100 or convnext_tiny'
    )


@torch.no_grad()
def _features(timm: ModuleType, backbone: ConfigDict, stride: int | None) -> list[Feature]:
    """Features of a model that is built with an output stride; none if it does not support that."""
    name, in_channels = backbone.model_name, backbone.get('in_channels', 3)
    arguments = {key: value for key, value in backbone.items() if key not in _NOT_TIMM}
    arguments |= dict(features_only=True, in_chans=in_channels, output_stride=stride)
    with torch.device('meta'):  # shapes only, which takes hardly any time
        try:
            model = timm.create_model(name, pretrained=False, **arguments).eval()
        except Exception as error:
            if stride is not None:
                return []
            reason = f'cannot be built ({type(error).__name__}: {error}); correct its options'
            raise _unsuitable(name, reason) from error
        info = model.feature_info
        if stride is not None and info.reduction()[-1] != stride:
            return []
        try:
            outputs = model(torch.zeros(1, in_channels, *_TRIAL))
        except Exception as error:
            reason = f'does not take images of any size ({str(error).rstrip(".")}); for a ViT set '
            reason += 'model.backbone.dynamic_img_size=True model.backbone.dynamic_img_pad=True'
            raise _unsuitable(name, reason) from error
    shapes = (tuple(output.shape[1:]) for output in outputs)
    return [*map(Feature, info.channels(), info.reduction(), info.out_indices, shapes)]


def _up_to_stride(name: str, features: list[Feature], stride: int) -> list[Feature]:
    """Features up to the last one of a stride."""
    strides = [feature.stride for feature in features]
    if stride not in strides:
        reason = f'cannot be built with output_stride={stride}, and its own features have strides '
        reason += f'{", ".join(map(str, strides))}; give one of these as model.backbone.'
        raise _unsuitable(name, f'{reason}output_stride')
    return features[: len(strides) - strides[::-1].index(stride)]


def _check_grid(name: str, features: Sequence[Feature]) -> None:
    """Check that features are (C, H, W), and that their pixels cover the image evenly."""
    for channels, stride, _, shape in features:
        rows, columns = ({side // stride, math.ceil(side / stride)} for side in _TRIAL)
        if len(shape) != 3 or shape[0] != channels or {shape[1]} - rows or {shape[2]} - columns:
            reason = f'turns {_TRIAL[1]}x{_TRIAL[0]} pixels into a feature of shape {shape}, but '
            reason += f'an even cover of the image has ({channels}, {max(rows)}, {max(columns)})'
            raise _unsuitable(name, reason)


def _channels(path: str, in_index: Any, features: Sequence[Feature]) -> Any:
    """The channels of the feature, or of the list of features, that ``in_index`` selects."""
    if isinstance(in_index, (list, tuple)):
        return [_channels(path, index, features) for index in in_index]
    check_index(path, in_index, len(features))
    return features[in_index].channels
