"""Your own data, without writing a class."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..data_checks.files import read_list
from .classes_file import Classes, Colour, read_classes
from .folder_masks import read_folder_mask

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')
MASK_SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.gif', '.jpg', '.jpeg')
Suffixes: TypeAlias = str | Sequence[str]


@DATASETS.register_module()
class FolderDataset(BaseSegDataset):
    """Images and masks of the same names in two folders, and ``classes.txt``.

    Layout below ``data_root``: ``images/{train,val}``, ``labels/{train,val}`` and ``classes.txt``
    (see :func:`.classes_file.read_classes`). A mask has the name of its image except for the
    suffix, which may be in upper or lower case. Names may contain spaces, and folders subfolders.
    Masks hold class indices, or the values that ``classes.txt`` gives to classes (grey or palette
    images), or, loaded by ``LoadMask``, colours of ``classes.txt``; 255 is void unless it is the
    value of a class. A subclass with classes in ``METAINFO`` needs no ``classes.txt``.

    Args:
        data_root: Folder that the others are in.
        classes_file: Path of ``classes.txt`` below it.
        img_suffix: How the names of images end; a string or several.
        seg_map_suffix: How the names of masks end; what comes before must be the image's name.
        metainfo: As in ``BaseSegDataset``; any classes in it must be those of ``classes.txt``.
        **kwargs: Those of MMSegmentation's ``BaseSegDataset``.

    Raises:
        FileNotFoundError: ``classes.txt`` is missing.
        ValueError: It does not fit, or gives values beside ``reduce_zero_label``; two images or
            masks have one name, a file is both, there is no mask, or none has the name of an image.
    """

    def __init__(
        self,
        data_root: str | None = None,
        classes_file: str = 'classes.txt',
        img_suffix: Suffixes = IMAGE_SUFFIXES,
        seg_map_suffix: Suffixes = MASK_SUFFIXES,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.classes_txt: Classes | None = None
        self.value_of_colour: dict[Colour, int] | None = None
        self.unused_masks: list[str] = []
        if reads_classes_file(type(self)):
            classes = self.classes_of(dict(data_root=data_root, classes_file=classes_file))
            metainfo = {**classes.metainfo, **(metainfo or {})}
            if tuple(metainfo['classes']) != classes.names:
                raise ValueError(
                    f'metainfo names the classes {", ".join(metainfo["classes"])}, but classes.txt '
                    f'has {", ".join(classes.names)}; leave them out of metainfo'
                )
            if classes.values and kwargs.get('reduce_zero_label'):
                raise ValueError(
                    'classes.txt gives values to classes, so reduce_zero_label=True would shift '
                    "them; leave it out, and name what is void by a last line 'void = 0'"
                )
            self.classes_txt, self.value_of_colour = classes, classes.value_of_colour
        super().__init__(
            data_root=data_root,
            img_suffix=(img_suffix,) if isinstance(img_suffix, str) else img_suffix,
            seg_map_suffix=(seg_map_suffix,) if isinstance(seg_map_suffix, str) else seg_map_suffix,
            metainfo=metainfo,
            **kwargs,
        )

    @classmethod
    def classes_of(cls, cfg: Mapping) -> Classes:
        """The classes that ``classes.txt`` gives to a data set's config; the set is not built."""
        root = Path(cfg.get('data_root') or '')
        if not root.is_dir():
            raise FileNotFoundError(
                f'data_root {root} does not exist; put the data set there or set data_root=...'
            )
        return read_classes(root / cfg.get('classes_file', 'classes.txt'))

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """That of ``classes.txt``; ``LoadMask`` and ``LoadAnnotations`` apply it."""
        given = self.classes_txt.label_map if self.classes_txt else None
        return given or super().get_label_map(new_classes)

    def read_mask(self, path: str) -> np.ndarray:
        """:func:`read_folder_mask` with the colours of this data set."""
        return read_folder_mask(path, self.value_of_colour, self.label_map)

    def get_data_info(self, idx: int) -> dict:
        return {**super().get_data_info(idx), 'value_of_colour': self.value_of_colour}

    def load_data_list(self) -> list[dict]:
        folder, labels = self.data_prefix['img_path'], self.data_prefix.get('seg_map_path')
        images = _by_stem('image', folder, self.img_suffix)
        masks = _by_stem('mask', labels, self.seg_map_suffix) if labels else {}
        stems = (
            read_list(self.ann_file) if self.ann_file else sorted(images, key=images.__getitem__)
        )
        if not stems:
            raise ValueError(
                f'{folder} holds no images ({", ".join(self.img_suffix)}); put some there, or set '
                'data_root=... or img_suffix=...'
            )
        if images and labels:
            _check_pairs(images, masks, labels, self.seg_map_suffix)
        self.unused_masks = [masks[stem] for stem in sorted(masks.keys() - images.keys())]
        shared = dict(label_map=self.label_map, reduce_zero_label=self.reduce_zero_label)
        data_list = []
        for stem in stems:  # a missing file gets the path that it would have
            info = dict(img_path=images.get(stem) or f'{folder}/{stem}{self.img_suffix[0]}')
            if labels is not None:
                mask = masks.get(stem) or f'{labels}/{stem}{self.seg_map_suffix[0]}'
                info['seg_map_path'] = mask
            data_list.append({**info, **shared, 'seg_fields': []})
        return data_list


def reads_classes_file(cls: object) -> bool:
    """Whether a data set class reads its classes from ``classes.txt``."""
    return (
        isinstance(cls, type) and issubclass(cls, FolderDataset) and not cls.METAINFO.get('classes')
    )


def _by_stem(what: str, folder: str, suffixes: Sequence[str]) -> dict[str, str]:
    """The paths of files below a folder by their names without the suffix, one of ``suffixes``."""
    paths: dict[str, str] = {}
    lower = [suffix.lower() for suffix in suffixes]
    for path, name in _files(folder):
        suffix = next(filter(name.lower().endswith, lower), None)
        if suffix is not None and paths.setdefault(name[: -len(suffix)], path) != path:
            first, second = sorted((paths[name[: -len(suffix)]], path))
            raise ValueError(
                f'{what}s {first} and {second} differ in the suffix only; keep one of them, '
                f'or rename one together with its {"mask" if what == "image" else "image"}'
            )
    return paths


def _files(folder: str, below: str = '') -> Iterator[tuple[str, str]]:
    """Path, and name relative to the folder, of every file below it that is not hidden."""
    for entry in os.scandir(folder):
        if entry.name.startswith('.'):
            continue
        if entry.is_dir():
            yield from _files(entry.path, f'{below}{entry.name}/')
        else:
            yield entry.path, below + entry.name


def _check_pairs(
    images: dict[str, str], masks: dict[str, str], labels: str, suffixes: Sequence[str]
) -> None:
    """Check that there are masks, that they are not the images, and that one fits an image."""
    if not masks:
        raise ValueError(
            f'{labels} holds no masks ({", ".join(suffixes)}); put some there, save other kinds as '
            'PNG, or set seg_map_suffix=...'
        )
    if both := {*images.values()} & {*masks.values()}:
        raise ValueError(
            f'{min(both)} is image and mask at once, since both are looked for in one folder; set '
            'data_prefix=dict(img_path=..., seg_map_path=...), or img_suffix and seg_map_suffix '
            'that differ'
        )
    if images.keys().isdisjoint(masks):
        stem, image = min(images.items())
        near = next((name for name in sorted(masks) if name.startswith(stem)), None)
        mask = masks[near or min(masks)]
        hint = f', or set seg_map_suffix={mask[mask.rindex(near) + len(stem) :]}' if near else ''
        raise ValueError(
            f'no mask has the name of an image: image {image} and mask {mask}, for example, do not '
            f'match; a mask is named like its image except for the suffix: rename them{hint}'
        )
