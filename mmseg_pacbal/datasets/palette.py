"""Label maps as palette pictures: the pixel values are classes, and viewers show colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

VOID = 255  # the value of pixels that belong to no class


def voc_colormap() -> np.ndarray:
    """The VOC devkit's colours, uint8 (256, 3): the bits of an index spread over R, G and B."""
    place = np.arange(8)[:, None]
    bits = np.arange(256)[:, None, None] >> (3 * place + np.arange(3)) & 1  # (index, place, RGB)
    return (bits << (7 - place)).sum(1).astype(np.uint8)


def palette_image(label: np.ndarray, palette: Sequence | np.ndarray) -> Image.Image:
    """A label map, integers 0..255, (H, W), as a picture of mode P; ``palette`` is RGB, (K, 3)."""
    from PIL import Image  # comes with the plugin, as files are read and written there only

    image = Image.fromarray(label.astype(np.uint8))
    image.putpalette(np.array(palette, np.uint8).tobytes())  # this changes the mode from L to P
    return image
