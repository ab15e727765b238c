"""Synthetic scenes in the VOC devkit layout, for a demo that needs neither data nor network."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from PIL import Image

from ...datasets.palette import palette_image, voc_colormap
from ...datasets.synthetic_scene import CLASSES, MIN_SIDE, PALETTE, VERSION, render_scene, void_rim
from ...ops.arguments import Accepted, check_arguments, int_from

_RECORD = 'synthetic_voc.json'
_SIDE = int_from(MIN_SIDE)
ACCEPTED = dict(
    num_train=int_from(2),
    num_val=int_from(1),
    size=Accepted(
        f'height and width, each {_SIDE.words}',
        lambda size: isinstance(size, Sequence) and len(size) == 2 and all(map(_SIDE.test, size)),
    ),
    seed=int_from(0),
)


@DATASETS.register_module()
class SyntheticVOCDataset(BaseSegDataset):
    """The demo's data: :func:`generate_synthetic_voc` at ``data_root``, made if it does not exist.

    Args:
        data_root: The VOC2012 folder to make or to use.
        generate: Arguments of :func:`generate_synthetic_voc`.
        **kwargs: Those of MMSegmentation's ``BaseSegDataset``.
    """

    METAINFO: ClassVar[dict] = dict(classes=CLASSES, palette=PALETTE)
    makes_its_data = True  # so there is nothing to check before it is built

    def __init__(self, data_root: str, generate: dict | None = None, **kwargs: Any) -> None:
        generate_synthetic_voc(data_root, **(generate or {}))
        super().__init__(data_root=data_root, **kwargs)


def _write(folder: Path, record: dict) -> None:
    """Write the whole data set of a record into a folder that does not exist yet."""
    images, lists = folder / 'JPEGImages', folder / 'ImageSets' / 'Segmentation'
    rimmed, rimless = folder / 'SegmentationClass', folder / 'SegmentationClassAug'
    for path in (images, lists, rimmed, rimless):
        path.mkdir(parents=True)
    trainaug = [f'2012_{index:06d}' for index in range(1, record['num_train'] + 1)]
    val = [f'2011_{index:06d}' for index in range(1, record['num_val'] + 1)]
    train, aug = trainaug[::2], trainaug[1::2]  # so an image is in its list for any counts
    for split, names in enumerate((trainaug, val)):
        for index, name in enumerate(names):
            rng = np.random.default_rng([record['seed'], split, index])
            image, label = render_scene(rng, tuple(record['size']))
            Image.fromarray(image).save(images / f'{name}.jpg', quality=95)
            if name not in aug:
                palette_image(void_rim(label), voc_colormap()).save(rimmed / f'{name}.png')
            if name not in val:
                palette_image(label, voc_colormap()).save(rimless / f'{name}.png')
    titles = dict(train=train, aug=aug, trainaug=trainaug, val=val, trainval=train + val)
    for title, names in titles.items():
        (lists / f'{title}.txt').write_text(''.join(f'{name}\n' for name in names))
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + '\n')


def _require_same(root: Path, record: dict) -> None:
    """Raise FileExistsError unless `root` is the complete data set of this record."""
    try:
        known = json.loads((root / _RECORD).read_text())
    except (OSError, ValueError):
        known = None
    if known != record:
        what = 'was not made by generate_synthetic_voc' if known is None else f'holds {known}'
        raise FileExistsError(
            f'root={str(root)!r} exists and {what}, but {record} is wanted; '
            'remove it or give a folder that does not exist'
        )


def generate_synthetic_voc(
    root: str | Path,
    *,
    num_train: int = 160,
    num_val: int = 40,
    size: tuple[int, int] = (128, 160),
    seed: int = 0,
) -> Path:
    """Make `root` a VOC2012 folder of synthetic scenes, or find it already made; return its path.

    The folder appears complete or not at all, even if several processes call this at once. Scene
    `index` of a split depends only on `seed`, `size`, the split and `index`. As in VOC with its
    SBD extension, `train` and `val` have masks with void rims in `SegmentationClass`, and
    `trainaug` (half `train`, half `aug`) has masks without rims in `SegmentationClassAug`.

    Args:
        root: The folder that a config names as `data_root`, such as `data/VOCdevkit/VOC2012`.
        num_train: Images in `trainaug`, at least 2.
        num_val: Images in `val`, at least 1.
        size: Height and width of every image in pixels, each at least `MIN_SIDE`.
        seed: 0 or more.

    Raises:
        ValueError: An argument is not one of those above.
        FileExistsError: `root` exists and is not this data set; it is left as it is.
    """
    check_arguments(ACCEPTED, num_train=num_train, num_val=num_val, size=size, seed=seed)
    root = Path(root)
    record = dict(version=VERSION, num_train=num_train, num_val=num_val, size=[*size], seed=seed)
    if os.path.lexists(root):
        _require_same(root, record)
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as temporary:
        _write(Path(temporary, root.name), record)
        try:
            os.rename(Path(temporary, root.name), root)
        except OSError:
            if not os.path.lexists(root):
                raise
            _require_same(root, record)  # another process was first
    return root
