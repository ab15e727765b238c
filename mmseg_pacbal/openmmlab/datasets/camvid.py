"""CamVid, which MMSegmentation lacks."""

from typing import ClassVar

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid with the 11 classes and the split of SegNet (Brostow et al. 2008).

    Layout below ``data_root``: images ``images/{train,val}/*.jpg`` and label maps
    ``labels/{train,val}/*.png`` of the same names, values 0..10 and 255 for void.
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
