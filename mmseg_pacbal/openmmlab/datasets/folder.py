"""Your own data, without writing a class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mmengine.fileio import list_dir_or_file
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
    Masks hold class indices (grey or palette images) or, loaded by ``LoadMask``, colours of
    ``classes.txt``; 255 is void. A subclass with classes in ``METAINFO`` needs no ``classes.txt``.

    Args:
        data_root: Folder that the others are in.
        classes_file: Path of ``classes.txt`` below it.
        img_suffix: How the names of images end; a string or several.
        seg_map_suffix: How the names of masks end; what comes before must be the image's name.
        metainfo: As in ``BaseSegDataset``, but any classes in it must be those of ``classes.txt``.
        **kwargs: Those of MMSegmentation's ``BaseSegDataset``.

    Raises:
        FileNotFoundError: ``classes.txt`` is missing.
        ValueError: It does not fit, two images or masks have one name, a file is both, there is no
            mask, or none has the name of an image.
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
        self.value_of_colour: dict[Colour, int] | None = None
        self.unused_masks: list[str] = []
        if reads_classes_file(type(self)):
            classes = self.classes_of(dict(data_root=data_root, classes_file=classes_file))
            _check_same_classes(classes, metainfo)
            self.value_of_colour = classes.value_of_colour
            metainfo = {**classes.metainfo, **(metainfo or {})}
        super().__init__(
            data_root=data_root,
            img_suffix=_suffixes(img_suffix),
            seg_map_suffix=_suffixes(seg_map_suffix),
            metainfo=metainfo,
            **kwargs,
        )

    @classmethod
    def classes_of(cls, cfg: Mapping) -> Classes:
        """The classes that ``classes.txt`` gives to a data set's config; the set is not built.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It does not fit.
        """
        root = Path(cfg.get('data_root') or '')
        if not root.is_dir():
            raise FileNotFoundError(
                f'data_root {root} does not exist; put the data set there or set data_root=...'
            )
        return read_classes(root / cfg.get('classes_file', 'classes.txt'))

    def read_mask(self, path: str) -> np.ndarray:
        """:func:`read_folder_mask` with the colours of this data set."""
        return read_folder_mask(path, self.value_of_colour)

    def get_data_info(self, idx: int) -> dict:
        return {**super().get_data_info(idx), 'value_of_colour': self.value_of_colour}

    def load_data_list(self) -> list[dict]:
        images = _by_stem('image', self.data_prefix.get('img_path'), self.img_suffix)
        masks = _by_stem('mask', self.data_prefix.get('seg_map_path'), self.seg_map_suffix)
        if images and not masks and self.data_prefix.get('seg_map_path'):
            raise ValueError(
                f'{self.data_prefix["seg_map_path"]} holds no masks '
                f'({", ".join(self.seg_map_suffix)}); put some there, save other kinds as PNG, or '
                'set seg_map_suffix=...'
            )
        both = sorted(set(images.values()) & set(masks.values()))
        if both:
            raise ValueError(
                f'{both[0]} is image and mask at once, since both are looked for in one folder; '
                'set data_prefix=dict(img_path=..., seg_map_path=...), or img_suffix and '
                'seg_map_suffix that differ'
            )
        if images and masks and not images.keys() & masks.keys():
            _raise_unpaired(images, masks)
        self.unused_masks = [str(masks[stem]) for stem in sorted(masks.keys() - images.keys())]
        by_path = sorted(images, key=lambda stem: str(images[stem]))  # as in BaseSegDataset
        stems = read_list(self.ann_file) if self.ann_file else by_path
        if not stems:
            raise ValueError(
                f'{self.data_prefix["img_path"]} holds no images ({", ".join(self.img_suffix)}); '
                'put some there, or set data_root=... or img_suffix=...'
            )
        return [self._data_info(stem, images, masks) for stem in stems]

    def _data_info(self, stem: str, images: dict[str, Path], masks: dict[str, Path]) -> dict:
        """Files of a sample; for a missing file, the path that it would have."""
        folder, labels = self.data_prefix['img_path'], self.data_prefix.get('seg_map_path')
        image = images.get(stem) or Path(folder, stem + self.img_suffix[0])
        info = dict(
            img_path=str(image),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
        )
        if labels is not None:
            mask = masks.get(stem) or Path(labels, stem + self.seg_map_suffix[0])
            info['seg_map_path'] = str(mask)
        return info


def reads_classes_file(cls: object) -> bool:
    """Whether a data set class reads its classes from ``classes.txt``."""
    return (
        isinstance(cls, type) and issubclass(cls, FolderDataset) and not cls.METAINFO.get('classes')
    )


def _check_same_classes(classes: Classes, metainfo: dict | None) -> None:
    named = (metainfo or {}).get('classes')
    if named is not None and tuple(named) != classes.names:
        raise ValueError(
            f'metainfo names the classes {", ".join(named)}, but classes.txt has '
            f'{", ".join(classes.names)}; leave them out of metainfo'
        )


def _suffixes(value: Suffixes) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _by_stem(what: str, folder: str | None, suffixes: Iterable[str]) -> dict[str, Path]:
    """The files below a folder that have one of the suffixes, by their names without it.

    Raises:
        ValueError: Two of them have the same name.
    """
    found: dict[str, Path] = {}
    for path, stem in _stems(folder, suffixes) if folder else ():
        if stem in found:
            raise ValueError(
                f'{what}s {found[stem]} and {path} differ in the suffix only; keep one of them, '
                f'or rename one together with its {"mask" if what == "image" else "image"}'
            )
        found[stem] = path
    return found


def _stems(folder: str, suffixes: Iterable[str]) -> Iterator[tuple[Path, str]]:
    for name in sorted(list_dir_or_file(folder, list_dir=False, recursive=True)):
        suffix = next((s for s in suffixes if name.lower().endswith(s.lower())), None)
        if suffix:
            yield Path(folder, name), name[: -len(suffix)]


def _raise_unpaired(images: dict[str, Path], masks: dict[str, Path]) -> None:
    """Raise, with the suffix that would pair images and masks if there is one."""
    image, mask = min(images.items()), min(masks.items())
    near = next((path for stem, path in sorted(masks.items()) if stem.startswith(image[0])), None)
    hint = ''
    if near is not None:
        hint = f', or set seg_map_suffix={near.name[len(Path(image[0]).name) :]}'
    raise ValueError(
        f'no mask has the name of an image: image {image[1]} and mask {near or mask[1]}, for '
        f'example, do not match; a mask is named like its image except for the suffix: rename '
        f'them{hint}'
    )
