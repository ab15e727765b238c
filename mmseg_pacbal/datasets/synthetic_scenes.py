"""Synthetic scenes as a data set of PyTorch."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..ops.arguments import POSITIVE_INT, check_arguments, int_from
from .palette import VOID
from .synthetic_scene import CLASSES, MIN_SIDE, render_scene, void_rim

ACCEPTED = dict(length=POSITIVE_INT, size=int_from(MIN_SIDE), seed=int_from(0))


class SyntheticScenes(Dataset):
    """Images with their labels, rendered once; see :mod:`mmseg_pacbal.datasets.synthetic_scene`.

    An element is an image, (3, H, W), float32 with mean 0 and standard deviation 1, and its
    label, (H, W), int64: a class, or 255 (void) along every outline.

    Args:
        length: Number of images.
        size: Height and width, in pixels.
        seed: Data sets of another seed hold other images.

    Raises:
        ValueError: An argument is not one of those above.
    """

    classes: ClassVar[tuple[str, ...]] = CLASSES
    ignore_index: ClassVar[int] = VOID

    def __init__(self, length: int, size: int = 96, seed: int = 0) -> None:
        check_arguments(ACCEPTED, length=length, size=size, seed=seed)
        self._samples = [self._render(size, seed, index) for index in range(length)]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._samples[index]

    @staticmethod
    def _render(size: int, seed: int, index: int) -> tuple[Tensor, Tensor]:
        scene, crisp = render_scene(np.random.default_rng((seed, index)), (size, size))
        image = torch.from_numpy(scene).permute(2, 0, 1).float()
        image = (image - image.mean()) / image.std()
        return image, torch.from_numpy(void_rim(crisp)).long()
