"""The decode head of the paper (Fig. 3, section 3.4)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...layers import PyramidAtrousConv
from ...ops.arguments import reject_unknown_arguments
from ..feature_checks import channels_problem


@MODELS.register_module()
class PACHead(BaseDecodeHead):
    """1x1 convolution, global pooling and Pyramid Atrous Convolution, side by side.

    Three branches of ``channels`` channels, each with norm and activation, are concatenated,
    and one 1x1 convolution maps them directly to the classes; there is no bottleneck.

    Args:
        rates: Atrous rates of the PAC branch; (1, 3, 5, 7, 9) is the best row of Table 2.
        merge: How the rates are merged, ``'sum'`` or ``'concat'`` (Table 2).
        backend: See :func:`mmseg_pacbal.ops.pyramid_atrous_conv2d`.
        **kwargs: Those of MMSegmentation's ``BaseDecodeHead``: ``in_channels``, ``channels``,
            ``num_classes``, ``norm_cfg``, ``loss_decode`` and so on.

    Shape:
        Features of the backbone, the one at ``in_index`` (N, C_in, H, W) -> logits
        (N, num_classes, H, W).

    Raises:
        ValueError: rates, merge or backend is not accepted.
        TypeError: An argument is unknown.
    """

    def __init__(
        self,
        rates: Sequence[int] = (1, 3, 5, 7, 9),
        merge: str = 'sum',
        backend: str = 'auto',
        **kwargs: Any,
    ) -> None:
        reject_unknown_arguments(type(self), kwargs)
        in_index = kwargs.get('in_index', -1)
        if not isinstance(in_index, int) and kwargs.get('input_transform') != 'resize_concat':
            raise ValueError(
                f'in_index must be the number of one feature of the backbone, but got {in_index}; '
                "give input_transform='resize_concat' with several"
            )
        super().__init__(**kwargs)
        layer_cfg = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.conv1x1 = ConvModule(self.in_channels, self.channels, 1, **layer_cfg)
        self.image_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(self.in_channels, self.channels, 1, **layer_cfg)
        )
        norm, act = self.norm_cfg, self.act_cfg
        self.pac = PyramidAtrousConv(
            self.in_channels,
            self.channels,
            rates,
            merge=merge,
            norm=None if norm is None else build_norm_layer(norm, self.channels)[1],
            activation=None if act is None else build_activation_layer(dict(act)),
            backend=backend,
        )
        # The base class made it for `channels` inputs.
        self.conv_seg = nn.Conv2d(3 * self.channels, self.out_channels, kernel_size=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        if x.shape[1] != self.in_channels:
            raise ValueError(channels_problem('model.decode_head', self, inputs))
        pooled = self.image_pool(x).expand(-1, -1, *x.shape[2:])
        return self.cls_seg(torch.cat([self.conv1x1(x), pooled, self.pac(x)], dim=1))
