"""CamVid, which MMSegmentation lacks."""

from typing import ClassVar

from mmseg.registry import DATASETS

from .folder import FolderDataset


@DATASETS.register_module()
class CamVidDataset(FolderDataset):
    """CamVid with the 11 classes and the split of SegNet (Brostow et al. 2008).

    Its layout is that of :class:`FolderDataset`, with values 0..10 and 255 for void; it needs no
    ``classes.txt``.
    """

    METAINFO: ClassVar[dict] = dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign_symbol',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )
