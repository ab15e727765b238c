"""Label maps as palette pictures: the pixel values are classes, and viewers show colours."""

from collections.abc import Sequence

import numpy as np
from PIL import Image


def voc_colormap() -> np.ndarray:
    """The VOC devkit's colours, uint8 (256, 3): the bits of an index spread over R, G and B."""
    index = np.arange(256)
    colour = np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colour[:, channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return colour.astype(np.uint8)


def palette_image(label: np.ndarray, palette: Sequence | np.ndarray) -> Image.Image:
    """A label map as a picture of mode P.

    Args:
        label: Integers 0..255, (H, W).
        palette: RGB of each value, (K, 3).
    """
    image = Image.fromarray(label.astype(np.uint8))
    image.putpalette(np.array(palette, np.uint8).tobytes())  # this changes the mode from L to P
    return image
