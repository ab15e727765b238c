"""Data sets that MMSegmentation lacks, registered in its DATASETS."""

from .camvid import CamVidDataset
from .synthetic_voc import SyntheticVOCDataset, generate_synthetic_voc

__all__ = ['CamVidDataset', 'SyntheticVOCDataset', 'generate_synthetic_voc']
