"""Checks of images, masks and lists of any data set.

Images are read by OpenCV as by MMSegmentation's ``LoadImageFromFile``, which converts any mode to
colour and applies an EXIF rotation; masks by Pillow (see :mod:`.masks`). What is wrong is raised as
FileNotFoundError or ValueError, one sentence that names the file.
"""

import io
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from ...datasets.palette import VOID

Loader: TypeAlias = Callable[[dict], dict]


class SampleFiles(NamedTuple):
    """Paths of an image and its mask."""

    image: str
    mask: str | None = None


class UnknownToPillowError(ValueError):
    """Pillow does not read files of a kind or size, however sound they are."""


def read_bytes(what: str, path: str | Path, remedy: str = 'copy or download it again') -> bytes:
    """The content of a file; errors call it ``what``, and have a remedy for an empty one."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f'{what} {path} is missing') from None
    except OSError as error:
        raise ValueError(f'{what} {path} cannot be read: {error.strerror}') from error
    if not data:
        raise ValueError(f'{what} {path} is empty; {remedy}')
    return data


def read_list(path: str | Path, kind: str = 'image') -> list[str]:
    """The names in a list file, one per line; errors say that they are names of a ``kind``."""
    remedy = f'write one {kind} name per line'
    try:  # on Windows it may begin with a BOM
        text = read_bytes('list', path, remedy).decode('utf-8-sig')
    except UnicodeDecodeError:
        raise ValueError(f'list {path} is not text; {remedy}') from None
    names = [line.strip() for line in text.splitlines()]
    if '' in names:
        raise ValueError(f'list {path} has an empty line ({names.index("") + 1}); remove it')
    return names


def read_image(path: str, loader: Loader | None = None) -> np.ndarray:
    """The pixels of an image file, uint8 (H, W, 3), BGR, or what another loader makes of it.

    A loader is a transform, the first of a pipeline. Without one, and for MMSegmentation's default
    (8-bit colour by OpenCV), what OpenCV may fill in or leave out is refused.
    """
    colour = dict(color_type='color', imdecode_backend='cv2').items()
    if loader and not (type(loader) is LoadImageFromFile and colour <= vars(loader).items()):
        try:
            return loader(dict(img_path=path))['img']
        except Exception as error:  # each format raises its own type
            raise ValueError(f'image {path} cannot be read by {loader} ({error})') from error
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
        # OpenCV may fill in what a truncated file lacks. A JPEG is read whole for its draft, too.
        open_image('image', path, data, draft=True)
    except UnknownToPillowError:
        if pixels is None:
            raise
    if pixels is None:
        raise ValueError(
            f'image {path} cannot be decoded by OpenCV, which reads images in training; save it as '
            'PNG or JPEG'
        )
    return pixels


def open_image(what: str, path: str, data: bytes, draft: bool = False) -> Image.Image:
    """Decode the content of a file by Pillow; may raise UnknownToPillowError.

    Of a JPEG, a ``draft`` has an eighth of the height and width.
    """
    Image.init()
    safe = [name for name in Image.ID if name != 'EPS']  # a program, which Ghostscript would run
    reason = 'is not an image'
    try:
        image = Image.open(io.BytesIO(data), formats=safe)
        if draft:
            image.draft(image.mode, (1, 1))
        image.load()
        return image
    except UnidentifiedImageError:
        if 258 in (tags := _tiff_tags(data)):
            kind = _tiff_kind(tags)
            reason = f'is a TIFF of {kind}, which Pillow cannot read; save it with 8 bits, as PNG'
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        reason = f'has more than {most:,} pixels, which Pillow refuses; cut images and masks '
        reason += 'into tiles'
    except Exception as error:  # each image format of Pillow raises its own type
        raise ValueError(
            f'{what} {path} is damaged ({error}); copy or download it again'
        ) from error
    raise UnknownToPillowError(f'{what} {path} {reason}')


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


def _tiff_kind(tags: dict) -> str:
    """What a TIFF holds, for Pillow does not say what it lacks."""
    kinds = {1: 'integers', 2: 'signed integers', 3: 'floating-point numbers'}
    kind = f'{tags[258][0]}-bit {kinds.get(tags.get(339, (1,))[0], "numbers")}'
    channels = f' in {tags[277]} channels' if tags.get(277, 1) > 1 else ''
    packed = {34887: 'LERC', 34712: 'JPEG 2000', 50002: 'JPEG XL'}.get(tags.get(259, 1))
    return kind + channels + (f', compressed by {packed}' if packed else '')


def check_size(sample: SampleFiles, image: Sequence[int], mask: Sequence[int]) -> None:
    """Check that a mask and its image have the same size; sizes are (H, W) in pixels."""
    if tuple(image) != tuple(mask):
        raise ValueError(
            f'mask {sample.mask} is {mask[1]}x{mask[0]} pixels, but its image {sample.image} is '
            f'{image[1]}x{image[0]}'
        )


def check_values(path: str, mask: np.ndarray, accepted: np.ndarray) -> None:
    """Check that a mask, integers (H, W), holds only values v with ``accepted[v]``, bool (256,)."""
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
