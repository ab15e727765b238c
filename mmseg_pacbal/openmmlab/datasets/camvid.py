"""CamVid, which MMSegmentation lacks."""

from typing import ClassVar

from mmseg.registry import DATASETS

from .folder import FolderDataset

_COLOURS = {
    'sky': (128, 128, 128),
    'building': (128, 0, 0),
    'pole': (192, 192, 128),
    'road': (128, 64, 128),
    'pavement': (60, 40, 222),
    'tree': (128, 128, 0),
    'sign_symbol': (192, 128, 128),
    'fence': (64, 64, 128),
    'car': (64, 0, 128),
    'pedestrian': (64, 64, 0),
    'bicyclist': (0, 128, 192),
}


@DATASETS.register_module()
class CamVidDataset(FolderDataset):
    """CamVid with the 11 classes and the split of SegNet (Brostow et al. 2008).

    Its layout is that of :class:`FolderDataset`, with values 0..10 and 255 for void; it needs no
    ``classes.txt``.
    """

    METAINFO: ClassVar[dict] = dict(classes=(*_COLOURS,), palette=[*map(list, _COLOURS.values())])
