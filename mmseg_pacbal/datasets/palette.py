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
    """A label map, integers 0..255, (H, W), as a picture of mode P; ``palette`` is RGB, (K, 3).

    Values from K on are black.
    """
    from PIL import Image  # comes with the plugin, as files are read and written there only

    image = Image.fromarray(label.astype(np.uint8))
    colours = np.array(palette, np.uint8).tobytes()
    # A PNG has as many bits as there are colours, and loses those of greater values:
    # findings/pillow_short_palette.sh.
    colours = colours.ljust(3 * (int(label.max()) + 1), b'\0')
    image.putpalette(colours)  # this changes the mode from L to P
    return image
