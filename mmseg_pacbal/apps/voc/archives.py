"""PASCAL VOC 2012 and SBD, from the official archives to the tree that MMSegmentation reads.

VOC: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. SBD: Hariharan et
al., Semantic Contours from Inverse Detectors, ICCV 2011, whose masks make 1,464 training images
10,582. Every file is written under another name and then renamed, so that a run that is killed at
any point leaves only complete files.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from scipy.io import loadmat

from ...datasets.palette import palette_image, voc_colormap
from ...openmmlab.data_checks.files import check_values, read_list
from ...openmmlab.data_checks.masks import read_mask
from ...openmmlab.terminal import track
from .layout import AUG_MASKS, MASKS, RULES, augmented_lists, list_path, require_complete

VOC_MD5 = '6cd6e144f989b92b3379bac3b3de84fd'
SBD_MD5 = '82b4d87ceb2ed10f6038a1cba92111cb'
_VOC = PurePosixPath('VOCdevkit/VOC2012')
_SBD = PurePosixPath('benchmark_RELEASE/dataset')


def prepare(voc: Path, sbd: Path, root: Path) -> None:
    """Make the folder ``VOC2012`` with ``SegmentationClassAug`` and the lists trainaug and aug.

    ``SegmentationClassAug`` holds VOC's own mask where there is one, else SBD's. Existing files
    are kept, so a second run continues where the first stopped, or changes nothing.
    """
    if not hasattr(tarfile, 'data_filter'):
        raise RuntimeError('unpacking needs Python 3.10.12, 3.11.4 or newer; update Python')
    for name, data in _files(voc, _VOC, 'Unpacking VOC'):
        _place(root / name, data)
    own = _own_lists(voc, root)
    with_mask = {*own['train'], *own['val']}
    sbd_names = _convert_sbd(sbd, root / AUG_MASKS, skip=with_mask)
    for name in track(sorted(with_mask), 'Copying masks of VOC', len(with_mask)):
        mask = root / MASKS / f'{name}.png'
        if mask.is_file():
            _place(root / AUG_MASKS / mask.name, mask.read_bytes())
    lists = augmented_lists(own['train'], own['val'], sbd_names)
    require_complete(root, {**own, **lists})
    for name, names in lists.items():  # last, when every file that they name exists
        _place(list_path(root, name), ''.join(f'{n}\n' for n in names).encode())


def sbd_mask(data: bytes, name: str) -> np.ndarray:
    """The mask of an SBD file, ``GTcls.Segmentation``, uint8 (H, W), values 0..20."""
    try:
        mask = loadmat(io.BytesIO(data), variable_names=['GTcls'])['GTcls']['Segmentation'][0, 0]
    except Exception as error:  # loadmat raises whatever its parts raise
        raise ValueError(f'{name} holds no mask GTcls.Segmentation ({error})') from error
    if mask.ndim != 2 or not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(f'{name} holds a mask of {mask.dtype} {mask.shape} instead of (H, W)')
    check_values(name, mask, RULES.accepted)
    return mask.astype(np.uint8)


def _convert_sbd(sbd: Path, folder: Path, skip: Collection[str]) -> list[str]:
    """Write SBD's masks, except for those to skip, and return the names of its two lists."""
    lists: dict[str, list[str]] = {}
    for name, data in _files(sbd, _SBD, 'Converting SBD'):
        path = PurePosixPath(name)
        if name in ('train.txt', 'val.txt'):
            lists[name] = data.decode().split()
        elif path.match('cls/*.mat') and len(path.parts) == 2 and path.stem not in skip:
            _place_mask(folder / f'{path.stem}.png', sbd_mask(data, f'{sbd}: {name}'))
    for name in ('train.txt', 'val.txt'):
        if name not in lists:
            raise _lacks(sbd, 'SBD', _SBD / name)
    return [*lists['train.txt'], *lists['val.txt']]


def _own_lists(voc: Path, root: Path) -> dict[str, list[str]]:
    paths = {name: list_path(root, name) for name in ('train', 'val')}
    for path in paths.values():
        if not path.is_file():
            raise _lacks(voc, 'VOC 2012', _VOC / path.relative_to(root))
    return {name: read_list(path) for name, path in paths.items()}


def _lacks(archive: Path, what: str, part: PurePosixPath) -> ValueError:
    return ValueError(
        f'{archive} is not {what}: it lacks {part}; get the archive from its publisher'
    )


def _files(archive: Path, folder: PurePosixPath, description: str) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder of an archive: its name relative to the folder, and its content."""
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            for member in members:
                _refuse_escape(archive, member)
            for member in track(members, description, len(members)):
                path = PurePosixPath(member.name)
                if not member.isfile() or not path.is_relative_to(folder):
                    continue
                if file := tar.extractfile(member):
                    yield str(path.relative_to(folder)), file.read()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        reason = str(error).partition(':\n')[0]  # the rest repeats it for every compression
        raise ValueError(
            f'{archive} is not a complete tar archive ({reason}); get another copy'
        ) from error


def _refuse_escape(archive: Path, member: tarfile.TarInfo) -> None:
    """Refuse an archive that could write outside its folder, by name, by link or by device."""
    # A Windows path knows the separators, roots and drives of both systems.
    name = PureWindowsPath(member.name)
    try:
        if name.anchor or '..' in name.parts:
            raise tarfile.OutsideDestinationError(member, member.name)
        # Resolve against the archive's own path: it is a file, so no symlink below it can be
        # followed.
        tarfile.data_filter(member, str(archive))
    except tarfile.FilterError as error:
        raise ValueError(
            f'{archive} would write outside its folder or make a device ({member.name}); nothing '
            'in it was unpacked; get the archive from its publisher'
        ) from error


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
