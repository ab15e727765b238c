"""Uploaded label maps: checked, read, and removed from the disk."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .samples import read_label

MOST_BYTES = 32 * 2**20
MOST_PIXELS = 16_000_000
MOST_SIDE = 8000  # the matrices that blur a side grow with its square


def read_upload(path: Path, rules: Mapping[str, Any]) -> np.ndarray:
    """The label of an uploaded file, uint8 (H, W); see :func:`.samples.read_label`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is too large, has too many pixels, or is no mask; the message calls it
            by its name alone.
    """
    try:
        _check_bytes(path)
        _check_pixels(path)
        return read_label(path, rules)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        # Where the file lay for a moment means nothing to the user.
        raise ValueError(str(error).replace(str(path), path.name)) from None


def discard(path: Path, folder: Path) -> None:
    """Remove an uploaded file, but nothing beside it that another upload may be about to use.

    Args:
        path: The file; Gradio puts it into a folder that is named after its content.
        folder: The folder of uploads.
    """
    if folder.resolve() in path.resolve().parents:
        path.unlink(missing_ok=True)


def _check_bytes(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f'{path} has {size / 2**20:.0f} MiB, but this page accepts {MOST_BYTES // 2**20}; '
            'save the label as PNG, or crop it'
        )


def _check_pixels(path: Path) -> None:
    """From the header alone: a small file may decode to gigabytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        size = 'far too many'
    except Exception:
        return  # no image, or a damaged one: the reader says which
    else:
        if width * height <= MOST_PIXELS and max(width, height) <= MOST_SIDE:
            return
        size = f'{width} x {height}'
    raise ValueError(
        f'{path} has {size} pixels, but this page accepts at most {MOST_PIXELS // 10**6} million, '
        f'and {MOST_SIDE} on a side; crop the label'
    )
