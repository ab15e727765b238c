"""Masks as class indices, as palette images, or as colours of a ``classes.txt``."""

from collections.abc import Mapping

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...datasets.palette import VOID
from ..data_checks.files import labels_of_values
from ..data_checks.masks import check_single_integers, read_stored
from .classes_file import Colour


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Load the mask of a ``FolderDataset``: MMSegmentation's ``LoadAnnotations``, and RGB masks.

    Reads ``seg_map_path``, ``value_of_colour``, ``reduce_zero_label`` and ``label_map`` of a
    sample; adds ``gt_seg_map``, uint8 (H, W). A sample without ``seg_map_path`` is not changed: for
    prediction MMSegmentation removes its own ``LoadAnnotations`` from a pipeline, but not this.
    """

    def transform(self, results: dict) -> dict:
        """Load a mask; see :func:`read_folder_mask`."""
        if 'seg_map_path' not in results:
            return results
        path = results['seg_map_path']
        values = read_folder_mask(path, results.get('value_of_colour'), results['label_map'])
        labels = values.astype(np.uint8, copy=False)
        if (labels != values).any():
            raise ValueError(
                f'mask {path} holds values beyond 0..255, up to {values.max()}; save the index of '
                'a class in each pixel'
            )
        table = labels_of_values(results['reduce_zero_label'], results['label_map'])
        results['gt_seg_map'] = cv2.LUT(labels, table)
        results['seg_fields'].append('gt_seg_map')
        return results


def read_folder_mask(
    path: str,
    value_of_colour: Mapping[Colour, int] | None = None,
    label_map: Mapping[int, int] | None = None,
) -> np.ndarray:
    """The values of a mask file, integers (H, W): of an RGB image those of its colours.

    ``value_of_colour`` is empty if ``classes.txt`` gives no colours, and None if there is no such
    file. With a ``label_map``, which is not applied, values count whatever colours a viewer shows.
    """
    mask = read_stored(path)
    if mask.mode in ('RGB', 'RGBA') and value_of_colour is not None:
        if mask.mode == 'RGBA' and mask.values[..., 3].min() < 255:
            raise ValueError(f'mask {path} has transparent pixels; save it as RGB, without alpha')
        return _values_of_colours(path, mask.values[..., :3], value_of_colour)
    values = check_single_integers(path, mask.values, mask.mode)
    if value_of_colour and label_map is None and mask.mode in ('L', 'P'):
        _check_one_meaning(path, values, mask.palette, value_of_colour)
    return values


def _values_of_colours(path: str, pixels: np.ndarray, table: Mapping[Colour, int]) -> np.ndarray:
    if not table:
        raise ValueError(
            f'mask {path} is an RGB image, but classes.txt gives no colours; add one to each line '
            "('name R G B'), or save the mask with one channel, the index of a class in each pixel"
        )
    colours = sorted(table)
    codes, shown = _codes(np.array(colours)), _codes(pixels)
    index = np.minimum(np.searchsorted(codes, shown), len(codes) - 1)
    unknown = codes[index] != shown
    if unknown.any():
        y, x = np.argwhere(unknown)[0].tolist()
        raise ValueError(
            f'mask {path} holds colour {" ".join(map(str, pixels[y, x].tolist()))} at x={x}, '
            f'y={y}, and {np.count_nonzero(unknown)} of {unknown.size} pixels have none of the '
            f'{len(table)} colours in classes.txt; add the colour there (for void as a last line '
            "'void R G B'), and save masks without smoothing"
        )
    return np.array([table[colour] for colour in colours], np.uint8)[index]


def _codes(pixels: np.ndarray) -> np.ndarray:
    """(..., 3) -> one number for each colour, in their order; float32 is exact up to 2^24."""
    return pixels.astype(np.float32) @ np.array([1 << 16, 1 << 8, 1], np.float32)


def _check_one_meaning(
    path: str, values: np.ndarray, palette: np.ndarray | None, table: Mapping[Colour, int]
) -> None:
    """Raise if the colours of a mask mean other classes than its values do.

    Tools that turn an RGB mask into a palette image may number the colours in any order. A palette
    is taken as mere decoration if a colour in use belongs to no class, or two belong to the same
    one. Grey masks are checked only if they contain 255, which as the colour white may mean a class
    rather than void: nobody would draw classes in such similar greys otherwise.
    """
    used = np.unique(values)
    if palette is not None:
        used = used[used != VOID]
    elif VOID not in used:
        return
    shown = palette[used] if palette is not None else used[:, None].repeat(3, 1)
    classes = [table.get(tuple(colour)) for colour in shown.tolist()]
    if None in classes or len({*classes}) < len(classes):
        return
    for value, other in zip(used.tolist(), classes, strict=True):
        if value != other:
            marks = f"append '= {other} 255' to its line if 255 marks it, " * (value == VOID)
            raise ValueError(
                f'mask {path} holds value {value} in the colour that classes.txt gives to '
                f'{"void" if other == VOID else f"class {other}"}; save it as RGB if its colours '
                f'count, {marks}or remove the colours from classes.txt if its values count'
            )
