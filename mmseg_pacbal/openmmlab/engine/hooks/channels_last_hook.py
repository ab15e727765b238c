"""The memory layout in which convolutions are often faster."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the model's weights in ``torch.channels_last`` while it trains and while it is tested.

    Images need not be converted: a convolution whose weight has this layout gives features in it,
    in float32 and bfloat16 on a CPU and on a GPU. Results differ by rounding alone. Whether a step
    becomes faster depends on network, dtype and device, so measure it. With several processes torch
    warns that strides of gradients and buckets do not match; this costs a copy and changes nothing.

    Source:
        `Channels Last Memory Format in PyTorch
        <https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html>`_.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout in place, before the weights of a checkpoint are copied in."""
        runner.model.to(memory_format=torch.channels_last)
