"""PASCAL VOC 2012 and SBD, from the official archives to the tree that MMSegmentation reads.

VOC: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. SBD: Hariharan et
al., Semantic Contours from Inverse Detectors, ICCV 2011, whose masks make 1,464 training images
10,582. The archives are the published ones, by their checksums (:mod:`.download`), so what is in
them is known, and their regular files alone are written. Every file is written under another name
and then renamed, so that a run that is killed at any point leaves only complete files.
"""

import io
import os
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.io import loadmat

from ...datasets.palette import palette_image, voc_colormap
from ...openmmlab.data_checks.files import read_list
from ...openmmlab.data_checks.masks import read_mask
from ...openmmlab.terminal import track
from .layout import AUG_MASKS, MASKS, augmented_lists, list_path

VOC_MD5 = '6cd6e144f989b92b3379bac3b3de84fd'
SBD_MD5 = '82b4d87ceb2ed10f6038a1cba92111cb'
_VOC = PurePosixPath('VOCdevkit/VOC2012')
_SBD = PurePosixPath('benchmark_RELEASE/dataset')


def prepare(voc: Path, sbd: Path, root: Path) -> None:
    """Make the folder ``VOC2012`` with ``SegmentationClassAug`` and the lists trainaug and aug.

    ``SegmentationClassAug`` holds VOC's own mask where there is one, else SBD's. Existing files
    are kept, so a second run continues where the first stopped, or changes nothing.
    """
    for name, data in _files(voc, _VOC, 'Unpacking VOC'):
        _place(root / name, data)
    train, val = (read_list(list_path(root, name)) for name in ('train', 'val'))
    with_mask = {*train, *val}
    sbd_names = _convert_sbd(sbd, root / AUG_MASKS, skip=with_mask)
    for name in track(sorted(with_mask), 'Copying masks of VOC', len(with_mask)):
        mask = root / MASKS / f'{name}.png'
        _place(root / AUG_MASKS / mask.name, mask.read_bytes())
    # Last, when every file that they name exists.
    for name, names in augmented_lists(train, val, sbd_names).items():
        _place(list_path(root, name), ''.join(f'{n}\n' for n in names).encode())


def _convert_sbd(sbd: Path, folder: Path, skip: Collection[str]) -> list[str]:
    """Write SBD's masks, except for those to skip, and return the names of its two lists."""
    names: list[str] = []
    for name, data in _files(sbd, _SBD, 'Converting SBD'):
        path = PurePosixPath(name)
        if name in ('train.txt', 'val.txt'):
            names += data.decode().split()
        elif path.match('cls/*.mat') and path.stem not in skip:
            struct = loadmat(io.BytesIO(data), variable_names=['GTcls'])['GTcls']
            _place_mask(folder / f'{path.stem}.png', struct['Segmentation'][0, 0])
    return names


def _files(archive: Path, folder: PurePosixPath, description: str) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder of an archive: its name relative to the folder, and its content."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in track(members, description, len(members)):
            path = PurePosixPath(member.name)
            inside = path.is_relative_to(folder) and '..' not in path.parts
            if inside and member.isfile() and (file := tar.extractfile(member)):
                yield str(path.relative_to(folder)), file.read()


def _place(path: Path, data: bytes) -> None:
    """Write a file atomically, or keep an identical one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'.{path.name}.part')
        part.write_bytes(data)
        os.replace(part, path)
    elif path.read_bytes() != data:
        raise FileExistsError(
            f'{path} already exists with other content; move it away or give another --out'
        )


def _place_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask with VOC's colours, or keep one of the same values, however it is compressed."""
    if not path.exists() or not np.array_equal(read_mask(str(path)), mask):
        png = io.BytesIO()
        palette_image(mask, voc_colormap()).save(png, 'PNG')
        _place(path, png.getvalue())
