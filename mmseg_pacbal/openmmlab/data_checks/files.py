"""Checks of images, masks and lists of any data set; every error is one sentence naming the file.

Files are read as MMSegmentation's ``LoadImageFromFile`` and ``LoadAnnotations`` read them: images
by OpenCV, which converts any mode to colour and applies an EXIF rotation, and masks by Pillow (see
:mod:`.masks`).
"""

import io
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from ...datasets.palette import VOID


class SampleFiles(NamedTuple):
    """Paths of an image and its mask."""

    image: str
    mask: str | None = None


def read_list(path: str | Path, kind: str = 'image') -> list[str]:
    """The names in a list file, one per line; errors say that they are names of a ``kind``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not text, is empty or has an empty line.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')  # on Windows it may begin with a BOM
    except FileNotFoundError:
        raise FileNotFoundError(f'list {path} is missing') from None
    except UnicodeDecodeError:
        raise ValueError(f'list {path} is not text; write one {kind} name per line') from None
    names = [line.strip() for line in text.splitlines()]
    if not names:
        raise ValueError(f'list {path} is empty; write one {kind} name per line')
    if '' in names:
        raise ValueError(f'list {path} has an empty line ({names.index("") + 1}); remove it')
    return names


def read_image(path: str) -> np.ndarray:
    """The pixels of an image file, uint8 (H, W, 3), BGR.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, truncated or not an image.
    """
    data = read_bytes('image', path)
    try:
        pixels = mmcv.imfrombytes(data, flag='color', backend='cv2')
    except cv2.error:
        pixels = None
    tags = _tiff_tags(data)
    bands = tags.get(277, 1) - sum(kind in (1, 2) for kind in tags.get(338, ()))  # without alpha
    if bands > 1 and tags.get(262) in (0, 1):
        raise ValueError(
            f'image {path} is a TIFF of {bands} bands marked as grey, of which OpenCV reads the '
            'first only; save it with photometric RGB, or load it by a transform of your own'
        )
    try:
        open_image('image', path, data)  # OpenCV may fill in what a truncated file lacks
    except UnknownToPillowError:
        if pixels is None:
            raise
    if pixels is None:
        raise ValueError(
            f'image {path} cannot be decoded by OpenCV, which reads images in training; save it as '
            'PNG or JPEG'
        )
    return pixels


def check_size(sample: SampleFiles, image: Sequence[int], mask: Sequence[int]) -> None:
    """Check that a mask and its image have the same size; sizes are (H, W) in pixels.

    Raises:
        ValueError: They differ.
    """
    if tuple(image) != tuple(mask):
        raise ValueError(
            f'mask {sample.mask} is {mask[1]}x{mask[0]} pixels, but its image {sample.image} is '
            f'{image[1]}x{image[0]}'
        )


def check_values(path: str, mask: np.ndarray, accepted: np.ndarray) -> None:
    """Check the values of a mask.

    Args:
        path: Path of the mask.
        mask: Integers (H, W).
        accepted: bool (256,), whether a value may occur.

    Raises:
        ValueError: Another value occurs.
    """
    values = mask.astype(np.uint8, copy=False)
    if np.array_equal(values, mask) and cv2.LUT(values, accepted.astype(np.uint8)).all():
        return
    wrong = [v for v in np.unique(mask).tolist() if not (0 <= v < 256 and accepted[v])]
    more = f' and {len(wrong) - 5} more values' if len(wrong) > 5 else ''
    runs = [[*run] for ok, run in groupby(range(256), accepted.__getitem__) if ok]
    ranges = [f'{r[0]}..{r[-1]}' if len(r) > 1 else f'{r[0]}' for r in runs]
    raise ValueError(
        f'mask {path} holds {", ".join(map(str, wrong[:5]))}{more}, but accepted are '
        f'{" and ".join(ranges)}'
    )


def labels_of_values(
    reduce_zero_label: bool = False, label_map: dict[int, int] | None = None
) -> np.ndarray:
    """The label that ``LoadAnnotations`` makes of each value of a mask, uint8 (256,)."""
    labels = np.array([VOID, *range(254), VOID] if reduce_zero_label else range(256))
    mapped = labels.copy()
    for old, new in (label_map or {}).items():
        mapped[labels == old] = new
    return mapped.astype(np.uint8)


def read_bytes(what: str, path: str) -> bytes:
    """The content of a file; errors call it ``what``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or is empty.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f'{what} {path} is missing') from None
    except OSError as error:
        raise ValueError(f'{what} {path} cannot be read: {error.strerror}') from error
    if not data:
        raise ValueError(f'{what} {path} is empty; copy or download it again')
    return data


class UnknownToPillowError(ValueError):
    """Pillow does not read files of a kind or size, however sound they are."""


def open_image(what: str, path: str, data: bytes) -> Image.Image:
    """Decode the content of a file by Pillow.

    Raises:
        UnknownToPillowError: Pillow does not read such files.
        ValueError: The file is damaged.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
        image.load()
    except UnidentifiedImageError:
        kind = _tiff_kind(data)
        hint = f'is a TIFF of {kind}, which Pillow cannot read; save it with 8 bits, as PNG'
        raise UnknownToPillowError(f'{what} {path} {hint if kind else "is not an image"}') from None
    except Image.DecompressionBombError:
        raise UnknownToPillowError(
            f'{what} {path} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, which '
            'Pillow refuses; cut images and masks into tiles'
        ) from None
    except Exception as error:  # each image format of Pillow raises its own type
        raise ValueError(
            f'{what} {path} is damaged ({error}); copy or download it again'
        ) from error
    return image


@cache
def _formats() -> list[str]:
    """Pillow's formats without EPS: a program, which Pillow has Ghostscript run."""
    Image.init()
    return [name for name in Image.ID if name != 'EPS']


def _tiff_tags(data: bytes) -> dict:
    """The tags of a TIFF; none if it is another file."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if 43 in data[2:4] else 8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        return dict(tags)
    except Exception:  # whatever the first bytes of another file lead to
        return {}


def _tiff_kind(data: bytes) -> str | None:
    """What a TIFF holds, for Pillow does not say what it lacks; None of another file."""
    tags = _tiff_tags(data)
    if 258 not in tags:
        return None
    kinds = {1: 'integers', 2: 'signed integers', 3: 'floating-point numbers'}
    kind = f'{tags[258][0]}-bit {kinds.get(tags.get(339, (1,))[0], "numbers")}'
    if tags.get(277, 1) > 1:
        kind += f' in {tags[277]} channels'
    packed = {34887: 'LERC', 34712: 'JPEG 2000', 50002: 'JPEG XL'}.get(tags.get(259, 1))
    return f'{kind}, compressed by {packed}' if packed else kind
