"""Data sets that MMSegmentation lacks, registered in its DATASETS."""

from .camvid import CamVidDataset
from .folder import FolderDataset
from .folder_masks import LoadMask
from .synthetic_voc import SyntheticVOCDataset, generate_synthetic_voc

__all__ = [
    'CamVidDataset',
    'FolderDataset',
    'LoadMask',
    'SyntheticVOCDataset',
    'generate_synthetic_voc',
]
