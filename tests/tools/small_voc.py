"""Small archives with the structure of VOC 2012's and SBD's, and a tree made of them."""

import contextlib
import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from mmseg_pacbal.apps.voc import archives as voc_archives

TRAIN = ['2007_000032', '2007_000039', '2011_000003']
VAL = ['2007_000033', '2011_000006']
# As in the real ones, SBD's lists overlap with VOC's own, those of validation included.
SBD_TRAIN = ['2011_000025', '2007_000032', '2008_000008']
SBD_VAL = ['2007_000033', '2008_000002']
AUG = ['2008_000002', '2008_000008', '2011_000025']
TRAINAUG = [*TRAIN[:2], *AUG[:2], TRAIN[2], AUG[2]]

VOC = 'VOCdevkit/VOC2012'
SBD = 'benchmark_RELEASE/dataset'


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if kind == 'PNG':
        image.putpalette([value for value in range(256) for _ in 'RGB'])
    image.save(file, kind)
    return file.getvalue()


def sbd_label(name: str) -> np.ndarray:
    """What SBD says of an image, uint8 (6, 8): no two names have the same."""
    return np.full((6, 8), int(name[-2:]) % 21, np.uint8) * (np.arange(8) > 2)


def voc_label(name: str) -> np.ndarray:
    """The same with VOC's rim of void."""
    return np.where(np.arange(8) == 2, 255, sbd_label(name)).astype(np.uint8)


def mat(label: np.ndarray) -> bytes:
    """An SBD file: a struct with the boundaries of each class, the label, the classes."""
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        boundaries[index, 0] = csc_matrix(label.shape[:2])
    present = np.unique(label[label > 0]).reshape(-1, 1)
    struct = dict(Boundaries=boundaries, Segmentation=label, CategoriesPresent=present)
    file = io.BytesIO()
    savemat(file, dict(GTcls=struct), do_compression=True)
    return file.getvalue()


def lines(names: list[str]) -> bytes:
    return ''.join(f'{name}\n' for name in names).encode()


def voc_files() -> dict[str, bytes]:
    lists = f'{VOC}/ImageSets/Segmentation'
    files = {f'{lists}/train.txt': lines(TRAIN), f'{lists}/val.txt': lines(VAL)}
    for name in sorted({*TRAIN, *VAL, *SBD_TRAIN, *SBD_VAL}):
        image = np.full((6, 8, 3), int(name[-2:]), np.uint8)
        files[f'{VOC}/JPEGImages/{name}.jpg'] = encoded(image, 'JPEG')
        files[f'{VOC}/Annotations/{name}.xml'] = b'<annotation/>'
    for name in (*TRAIN, *VAL):
        files[f'{VOC}/SegmentationClass/{name}.png'] = encoded(voc_label(name), 'PNG')
    return files


def sbd_files() -> dict[str, bytes]:
    files = {f'{SBD}/cls/{name}.mat': mat(sbd_label(name)) for name in (*SBD_TRAIN, *SBD_VAL)}
    files[f'{SBD}/inst/2008_000002.mat'] = b'of no use here'
    return {**files, f'{SBD}/train.txt': lines(SBD_TRAIN), f'{SBD}/val.txt': lines(SBD_VAL)}


def member(name: str, **attributes: object) -> tarfile.TarInfo:
    """A member of an archive; ``type`` makes it a link or a device."""
    info = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def write_tar(path: Path, files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    with tarfile.open(path, 'w:gz' if path.suffix == '.tgz' else 'w') as tar:
        for name, data in files.items():
            tar.addfile(member(name, size=len(data)), io.BytesIO(data))
        for info in extra:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return path


@dataclass
class Archives:
    """The two archives in a folder; the module's checksums are made theirs."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    voc_files: dict[str, bytes] = field(default_factory=voc_files)
    sbd_files: dict[str, bytes] = field(default_factory=sbd_files)
    voc_extra: tuple[tarfile.TarInfo, ...] = ()
    sbd_extra: tuple[tarfile.TarInfo, ...] = ()

    def __post_init__(self) -> None:
        self.write()

    def write(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.voc = write_tar(self.folder / 'voc.tar', self.voc_files, self.voc_extra)
        self.sbd = write_tar(self.folder / 'sbd.tgz', self.sbd_files, self.sbd_extra)
        for name, path in (('VOC_MD5', self.voc), ('SBD_MD5', self.sbd)):
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            self.monkeypatch.setattr(voc_archives, name, md5)

    def prepare(self, root: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            voc_archives.prepare(self.voc, self.sbd, root)
