"""Maps as pictures that a page can hold."""

import base64

import cv2
import numpy as np

from ...visualization import paint
from .samples import LabelSample

LONGEST = 1000  # pixels of a picture on the page
FLATTEST = 4  # its longer side over its shorter one, at most
HEAT, GREY = 0.75, 0.45  # shares of the weights and of the image in an overlay
GREYS = np.array([24, 150, 205, 255], np.uint8)  # of E = 0, 1, 2, 3


def label_picture(sample: LabelSample, ignore_index: int) -> np.ndarray:
    """The label in its colours, RGB."""
    return paint(sample.label, list(sample.palette), ignore_index)


def edge_picture(edges: np.ndarray) -> np.ndarray:
    """E, 0..3, in shades of grey, (H, W)."""
    return GREYS[edges.astype(np.uint8)]


def heat_picture(field: np.ndarray, top: float) -> np.ndarray:
    """A map from 0 (dark) to ``top`` (bright), RGB."""
    scaled = (field * (255 / top if top > 0 else 0)).clip(0, 255).astype(np.uint8)
    return cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO)[..., ::-1]


def overlay(sample: LabelSample, weight: np.ndarray, top: float, ignore_index: int) -> np.ndarray:
    """Weights over the image, or without an image over the label, in grey; RGB."""
    below = label_picture(sample, ignore_index) if sample.image is None else sample.image
    grey = cv2.cvtColor(cv2.cvtColor(below, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    heat = np.ascontiguousarray(heat_picture(weight, top))
    return cv2.addWeighted(heat, HEAT, grey, GREY, 0)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a picture on the page: a label of one row is still seen."""
    longest = min(LONGEST, max(height, width))
    scale, least = longest / max(height, width), max(1, longest // FLATTEST)
    return max(least, round(scale * height)), max(least, round(scale * width))


def data_uri(picture: np.ndarray, exact: bool = False) -> str:
    """A picture, RGB or grey, as the address of an image that needs no file.

    Args:
        picture: uint8 (H, W, 3) or (H, W).
        exact: Whether to keep every pixel (PNG), for pictures of few colours; else JPEG.
    """
    height, width = shown_size(*picture.shape[:2])
    if (height, width) != picture.shape[:2]:
        way = cv2.INTER_NEAREST if exact else cv2.INTER_AREA
        picture = cv2.resize(picture, (width, height), interpolation=way)
    if picture.ndim == 3:
        picture = np.ascontiguousarray(picture[..., ::-1])
    if exact:
        suffix, options = '.png', [cv2.IMWRITE_PNG_COMPRESSION, 1]
    else:
        suffix, options = '.jpg', [cv2.IMWRITE_JPEG_QUALITY, 88]
    data = cv2.imencode(suffix, picture, options)[1].tobytes()
    kind = 'png' if exact else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
