"""Masks as their files store them, which is not always how an image library shows them."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from .files import open_image, read_bytes

_BITS, _COMPRESSION, _PHOTOMETRIC, _SUBFILE = 258, 259, 262, 254  # tags of TIFF
_LOSSY = {'JPEG': 'JPEG', 'MPO': 'JPEG', 'WEBP': 'WebP', 'AVIF': 'AVIF', 'JPEG2000': 'JPEG 2000'}
_LOSSY_IN_TIFF = {6: 'JPEG', 7: 'JPEG', 34892: 'JPEG', 34712: 'JPEG 2000', 50001: 'WebP'}


class StoredMask(NamedTuple):
    """A mask as its file stores it."""

    values: np.ndarray  # integers (H, W), or uint8 colours (H, W, C)
    palette: np.ndarray | None  # RGB of each value, int (256, 3); -1 beyond its end
    mode: str  # Pillow's name of the kind of image


def read_stored(path: str) -> StoredMask:
    """Read a mask as its file stores it.

    Refused are also files that may hold other values than were saved (JPEG and the like, a GIF that
    numbers its greys anew), or several masks.
    """
    data = read_bytes('mask', path)
    image = open_image('mask', path, data)
    inside = _LOSSY_IN_TIFF.get(_tiff_tag(image, _COMPRESSION))
    if lossy := f'TIFF with {inside} inside' if inside else _LOSSY.get(image.format or ''):
        raise ValueError(
            f'mask {path} is a {lossy}{"" if inside else " file"}, which may not keep the values '
            'of pixels; save the original mask as PNG'
        )
    palette, values = None, _stored(path, data, image)
    if image.mode == 'P':
        entries = np.reshape(image.getpalette('RGB') or [], (-1, 3))
        palette = np.full((256, 3), -1)
        palette[: len(entries)] = entries
        if image.format == 'GIF':
            _check_greys(path, values, palette)
    mask = StoredMask(values, palette, image.mode)
    if getattr(image, 'n_frames', 1) > 1:
        image.seek(1)
        if not _tiff_tag(image, _SUBFILE) & 0b101:  # smaller copies, masks of the transparent
            raise ValueError(
                f'mask {path} holds several images, of which training would read the first; save '
                'one mask in each file'
            )
    return mask


def read_mask(path: str) -> np.ndarray:
    """The values that MMSegmentation's ``LoadAnnotations`` reads of a mask, integers (H, W).

    Refused are also files that store other values.
    """
    data = read_bytes('mask', path)
    image = open_image('mask', path, data)
    values = check_single_integers(path, _stored(path, data, image), image.mode)
    shown = np.asarray(image)
    if not np.array_equal(values, shown):
        y, x = np.argwhere(values != shown)[0]
        raise ValueError(
            f'mask {path} stores {values[y, x]} where LoadAnnotations reads {int(shown[y, x])} '
            f'(x={x}, y={y}), since Pillow converts this kind of grey; save it as PNG with 8 bits, '
            'or load it with LoadMask'
        )
    return values


def check_single_integers(path: str, values: np.ndarray, mode: str) -> np.ndarray:
    """Return values if they are integers (H, W); else raise ValueError."""
    if values.ndim != 2 or values.dtype.kind not in 'ui':
        raise ValueError(
            f'mask {path} has mode {mode}, but a mask has one channel with the index of a class in '
            'each pixel (mode P or L)'
        )
    return values


def _tiff_tag(image: Image.Image, tag: int, default: Any = 0) -> Any:
    """A tag of a TIFF; the default for other files."""
    return getattr(image, 'tag_v2', {}).get(tag, default)


def _stored(path: str, data: bytes, image: Image.Image) -> np.ndarray:
    """Undo what Pillow does to some kinds of grey and to colours of 16 bits.

    It stretches grey of 2 and 4 bits to 0..255, inverts grey of up to 8 bits whose white is 0, and
    keeps the upper byte of colours of 16 bits.
    """
    pixels, white_is_zero = np.asarray(image), _tiff_tag(image, _PHOTOMETRIC, 1) == 0
    bits = data[24] if image.format == 'PNG' else _tiff_tag(image, _BITS, (8,))[0]
    if image.mode in ('1', 'L'):
        largest = 1 if image.mode == '1' else 2**bits - 1
        values = pixels // np.uint8(255 // largest) if bits in (2, 4) else pixels.astype(np.uint8)
        return np.uint8(largest) - values if white_is_zero else values
    if image.mode in ('RGB', 'RGBA') and bits == 16:
        return _deep_colours(path, data)
    return pixels


def _deep_colours(path: str, data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.max() > 255:
        raise ValueError(
            f'mask {path} has colours of 16 bits beyond 0..255; save it with 8 bits, or with one '
            'channel, the index of a class in each pixel'
        )
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels.astype(np.uint8), order)


def _check_greys(path: str, values: np.ndarray, palette: np.ndarray) -> None:
    """Refuse greys that a writer of GIF has numbered anew; black and white may be two classes."""
    used = np.unique(values)
    shown = palette[used]
    if (shown == shown[:, :1]).all() and not {*shown[:, 0].tolist()} <= {0, 255}:
        for value, grey in zip(used, shown[:, 0], strict=True):
            if value != grey:
                raise ValueError(
                    f'mask {path} is a GIF in which grey {grey} has number {value}, as GIF '
                    'numbers the greys in use anew; save the original mask as PNG'
                )
