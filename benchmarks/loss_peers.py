"""The losses that are compared, each as a function of small logits and labels."""

import importlib
from collections.abc import Callable
from importlib import metadata

import torch.nn.functional as F
from torch import Tensor

from mmseg_pacbal.losses import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import as_bytes
from mmseg_pacbal.ops.lean_cross_entropy import lean_cross_entropy

CROSS_ENTROPY, LEAN_CROSS_ENTROPY = 'cross entropy', 'cross entropy, lean'
BAL, LEAN_BAL = 'BAL', 'BAL, lean'

Loss = Callable[[Tensor, Tensor], Tensor]  # (N, C, h, w), (N, H, W) -> a number


def enlarged(loss: Loss) -> Loss:
    """The loss of logits enlarged to the size of the label, as MMSegmentation's heads do it."""
    return lambda logits, label: loss(
        F.interpolate(logits, label.shape[1:], mode='bilinear', align_corners=False), label
    )


def losses(classes: int, device: str) -> dict[str, tuple[str, Loss]]:
    """Package and loss by name; a peer that is not installed is left out, with a line."""
    ours = BoundaryAwareLoss()

    def lean_bal(logits: Tensor, label: Tensor) -> Tensor:
        label = ours._check_label(label, classes, 255)
        factor = ours.pixel_factor(as_bytes(label, classes, 255))
        return lean_cross_entropy(logits, label, factor)[0] / label.numel()

    def lean_ce(logits: Tensor, label: Tensor) -> Tensor:
        return lean_cross_entropy(logits, label)[0] / label.numel()

    found: dict[str, tuple[str, Loss]] = {
        LEAN_BAL: ('ours', lean_bal),
        BAL: ('ours', enlarged(ours)),
        LEAN_CROSS_ENTROPY: ('ours', lean_ce),
    }
    for title, distribution, module, make in PEERS:
        try:
            peers = make(importlib.import_module(module), classes)
        except ImportError as error:
            print(f'{title} is left out: {error}')
            continue
        package = f'{title} {metadata.version(distribution)}'
        found |= {name: (package, enlarged(loss)) for name, loss in peers.items()}
    if device != 'cpu':
        del found['focal']  # its operator for GPUs is not in mmcv-lite
    return found


def mmseg_losses(package: object, classes: int) -> dict[str, Loss]:
    focal = package.FocalLoss()

    def focal_of_one_hot(logits: Tensor, label: Tensor) -> Tensor:
        # With labels of classes it raises on a CPU.
        return focal(logits, F.one_hot(label, classes).permute(0, 3, 1, 2))

    return {
        CROSS_ENTROPY: package.CrossEntropyLoss(),
        'OHEM': package.OhemCrossEntropy(),
        'focal': focal_of_one_hot,
        'Dice': package.DiceLoss(use_sigmoid=False),
        'Lovász': package.LovaszLoss(reduction='none'),
    }


def monai_losses(package: object, classes: int) -> dict[str, Loss]:
    softmax = dict(to_onehot_y=True, softmax=True)
    hausdorff = package.HausdorffDTLoss(include_background=True, **softmax)
    dice = package.GeneralizedDiceLoss(**softmax)
    return {
        'Hausdorff, distance transform': lambda logits, label: hausdorff(logits, label[:, None]),
        'generalised Dice': lambda logits, label: dice(logits, label[:, None]),
    }


def smp_losses(package: object, classes: int) -> dict[str, Loss]:
    return {
        'Lovász, smp': package.LovaszLoss('multiclass'),
        'Tversky': package.TverskyLoss('multiclass', alpha=0.3, beta=0.7),
    }


PEERS = (
    ('MMSegmentation', 'mmsegmentation', 'mmseg.models.losses', mmseg_losses),
    ('MONAI', 'monai', 'monai.losses', monai_losses),
    (
        'segmentation_models_pytorch',
        'segmentation-models-pytorch',
        'segmentation_models_pytorch.losses',
        smp_losses,
    ),
)
