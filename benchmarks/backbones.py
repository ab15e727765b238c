"""Parameters and FLOPs of PACHead and of usual heads on many backbones, for docs/backbones.md.

python -m benchmarks.backbones

ConvNeXt is of timm, which has to be installed. Nothing is timed or computed: any machine counts the
same.
"""

import math
from typing import Any, NamedTuple

import torch
from mmengine.analysis import parameter_count
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.model_zoo import NONE, build
from benchmarks.records import ROOT
from mmseg_pacbal.markdown import fill, to_markdown
from mmseg_pacbal.openmmlab.terminal import track

PAGE = ROOT / 'docs' / 'backbones.md'
PAPER = (1, 3, 5, 7, 9)  # the best rates of the paper's Table 2, at its output stride of 16
NUM_CLASSES = 21
SIZE = (512, 512)
LOSS = dict(type='BoundaryAwareLoss', normalize='mean')
HEAD = dict(_delete_=True, type='PACHead', channels=256, norm_cfg=dict(type='SyncBN'))
TIMM = dict(
    _delete_=True,
    type='TIMMBackbone',
    model_name='convnext_tiny',
    features_only=True,
    pretrained=False,
)
COLUMNS = [
    *('network', 'inherits', 'settings', 'output stride', 'rates'),
    *('parameters (M)', 'GFLOPs'),
]


class Pair(NamedTuple):
    """A network: a config of MMSegmentation, and what differs from it."""

    name: str
    base: str  # below MMSegmentation's configs
    stride: int  # pixels of the image for one pixel of the logits
    reads: dict[str, Any] | None = None  # settings of PACHead; None: the head of the config
    backbone: dict[str, Any] | None = None

    @property
    def rates(self) -> tuple[int, ...]:
        return rates_at(self.stride)


def rates_at(stride: int) -> tuple[int, ...]:
    """The paper's rates at another output stride: as many pixels of the image, rounded up."""
    return tuple(math.ceil(rate * 16 / stride) for rate in PAPER)


def maps(*channels: int, last: int = 3) -> dict[str, Any]:
    """Settings of a head that reads the last maps of a backbone, of so many channels each."""
    if len(channels) == 1:
        return dict(in_index=last, in_channels=channels[0])
    index = [*range(last + 1 - len(channels), last + 1)]
    return dict(in_index=index, in_channels=[*channels], input_transform='resize_concat')


MODELS = '_base_/models/'
R50, SWIN = f'{MODELS}deeplabv3_r50-d8.py', f'{MODELS}upernet_swin.py'
MIT, HRNET = f'{MODELS}segformer_mit-b0.py', f'{MODELS}fcn_hr18.py'
UNET, MOBILE_3 = f'{MODELS}fcn_unet_s5-d16.py', f'{MODELS}lraspp_m-v3-d8.py'
MOBILE_2 = 'mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb4-160k_ade20k-512x512.py'
D16 = dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))
D32 = dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
PAIRS = [
    Pair('ResNet-50, PAC', R50, 8, maps(2048)),
    Pair('ResNet-50, PAC', R50, 16, maps(2048), D16),
    Pair('ResNet-50, PAC', R50, 32, maps(2048), D32),
    Pair('ResNet-50, PAC on two maps', R50, 16, maps(1024, 2048), D32),
    Pair('ResNet-50, DeepLabV3', R50, 8),
    Pair('ResNet-50, DeepLabV3+', f'{MODELS}deeplabv3plus_r50-d8.py', 4),
    Pair('ResNet-50, PSPNet', f'{MODELS}pspnet_r50-d8.py', 8),
    Pair('ResNet-101, PAC', R50, 8, maps(2048), dict(depth=101)),
    Pair('MobileNetV2, PAC', MOBILE_2, 8, maps(320)),
    Pair('MobileNetV2, DeepLabV3', MOBILE_2, 8),
    Pair('MobileNetV3-Large, PAC', MOBILE_3, 8, maps(960, last=2)),
    Pair('MobileNetV3-Large, LR-ASPP', MOBILE_3, 2),
    Pair('HRNet-W18, PAC on four maps', HRNET, 4, maps(18, 36, 72, 144)),
    Pair('HRNet-W18, OCRNet', f'{MODELS}ocrnet_hr18.py', 4),
    Pair('UNet, PAC', UNET, 1, maps(64, last=4)),
    Pair('UNet, FCN', UNET, 1),
    Pair('MiT-B0, PAC on the last map', MIT, 32, maps(256)),
    Pair('MiT-B0, PAC on two maps', MIT, 16, maps(160, 256)),
    Pair('MiT-B0, SegFormer', MIT, 4),
    Pair('Swin-T, PAC on the last map', SWIN, 32, maps(768)),
    Pair('Swin-T, PAC on two maps', SWIN, 16, maps(384, 768)),
    Pair('Swin-T, PAC on three maps', SWIN, 8, maps(192, 384, 768)),
    Pair('Swin-T, UPerNet', SWIN, 4),
    Pair('ConvNeXt-T of timm, PAC', SWIN, 16, maps(768), dict(TIMM, output_stride=16)),
    Pair('ConvNeXt-T of timm, UPerNet', SWIN, 4, None, TIMM),
]


def network(pair: Pair) -> nn.Module:
    """The network in evaluation mode, without auxiliary heads; every loss is ours."""
    init_default_scope('mmseg')
    base = Config.fromfile(Config._get_cfg_path(f'mmseg::{pair.base}', '')[0]).model
    cfg = Config(dict(model=base))
    changes = dict(pair.backbone or {})  # a copy: merging takes _delete_ out
    cfg.merge_from_dict(dict(model=dict(backbone=changes)))
    if pair.reads is not None:
        changes = HEAD | pair.reads | dict(rates=pair.rates, loss_decode=LOSS)
        cfg.merge_from_dict(dict(model=dict(decode_head=changes)))
    heads = cfg.model.decode_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.update(num_classes=NUM_CLASSES, loss_decode=LOSS)
    cfg.model.update(auxiliary_head=None, test_cfg=dict(mode='whole'))
    cfg.model.data_preprocessor.size = SIZE
    cfg.model.backbone.pop('init_cfg', None)
    return build(cfg)


def cells(pair: Pair) -> list[str]:
    """What a row says besides figures: network, config, settings, output stride, rates."""
    settings = written(pair.reads or {})
    if pair.backbone is not None:
        settings.insert(0, f'backbone=dict({", ".join(written(pair.backbone))})')
    lines = ', '.join(f'`{setting}`' for setting in settings)
    rates = NONE if pair.reads is None else f'`{pair.rates}`'
    base = pair.base.removeprefix(MODELS).removesuffix('.py')
    return [pair.name, f'`{base}`', lines or NONE, str(pair.stride), rates]


def written(settings: dict[str, Any]) -> list[str]:
    return [f'{key}={value!r}' for key, value in settings.items()]


def row(pair: Pair) -> list[str]:
    model = network(pair)
    figures = parameter_count(model)[''] / 1e6, products(model) / 1e9
    return [*cells(pair), *(f'{figure:.2f}' for figure in figures)]


@torch.no_grad()
def products(model: nn.Module) -> float:
    """Multiply-adds of convolutions and matrix products; from shapes, which takes hardly any time.

    The model is moved to the device ``meta``. torch counts each multiply-add as two.
    """
    with FlopCounterMode(display=False) as counted:
        model.to('meta')(torch.zeros(1, 3, *SIZE, device='meta'), mode='tensor')
    return counted.get_total_flops() / 2


def main() -> None:
    rows = [row(pair) for pair in track(PAIRS, 'Counting', len(PAIRS))]
    table = to_markdown(COLUMNS, rows, left=3)
    PAGE.write_text(fill(PAGE.read_text(), dict(pairs=table)))
    print(f'{table}\n\nwritten to {PAGE.relative_to(ROOT)}')


if __name__ == '__main__':
    main()
