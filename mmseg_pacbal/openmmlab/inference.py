"""Models for your own images: MMSegmentation's inferencer with a checked checkpoint."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmseg.apis import MMSegInferencer
from mmseg.datasets import BaseSegDataset
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import DATASETS, MODELS
from torch import Tensor

from ..configs import datasets, load_config, set_values, type_class, type_name
from .checkpoint_checks import load_weights
from .completion import infer_settings
from .datasets.folder import reads_classes_file


def init_inferencer(
    config: str | Path | Config, checkpoint: str | Path, device: str | None = None
) -> MMSegInferencer:
    """Load a model into MMSegmentation's ``MMSegInferencer``; its data set is not needed.

    ``inferencer(image)['predictions']`` is the class of every pixel, (H, W). The image is a path
    or a BGR array, (H, W, 3) uint8; a list of images returns a list. Unlike in MMSegmentation, a
    checkpoint of another model is refused rather than loaded as far as the names match, and classes
    and palette are those of the config's test data set even if the checkpoint does not name them.

    Args:
        config: Path of a config, or a config.
        checkpoint: Path of a checkpoint.
        device: Such as ``'cpu'`` or ``'cuda:1'``; None uses a GPU if there is one.

    Raises:
        FileNotFoundError: The config or the checkpoint does not exist.
        ValueError: The config does not parse, or the checkpoint does not belong to it.
        pickle.UnpicklingError: The checkpoint is broken or holds more than a checkpoint may.
    """
    cfg = copy.deepcopy(config) if isinstance(config, Config) else load_config(str(config))
    cfg.visualizer.vis_backends = None  # prediction does not log anything
    cfg.test_dataloader.dataset = _test_dataset(cfg)
    infer_settings(cfg)
    if type_name(cfg.model.backbone) == 'TIMMBackbone':
        set_values([('model.backbone', cfg.model.backbone)], 'pretrained', False)  # no download
    inferencer = _CheckedInferencer(cfg, str(checkpoint), device=device)
    inferencer.show_progress = False
    return inferencer


class _CheckedInferencer(MMSegInferencer):
    """MMSegmentation's inferencer, which checks a checkpoint before it loads the weights."""

    def _get_transform_idx(self, pipeline_cfg: list, name: str) -> int:
        """Find also a transform that a config in pure Python names by its class."""
        names = [type_name(transform) for transform in pipeline_cfg]
        return names.index(name) if name in names else -1

    def _init_model(self, cfg: Config, weights: str, device: str = 'cpu') -> BaseSegmentor:
        model = MODELS.build(cfg.model)
        model.cfg = cfg
        meta = load_weights(model, weights)
        model.dataset_meta = dataset_meta(cfg, meta.get('dataset_meta'))
        classes = model.dataset_meta['classes']
        if len(classes) != model.num_classes:
            raise ValueError(
                f'the model of {weights} predicts {model.num_classes} classes, but its data set '
                f'has {len(classes)} ({", ".join(classes)}); give the config that it was trained '
                'with'
            )
        return model.to(device).eval()


def require_finite(logits: Tensor, what: str) -> None:
    """Raise ValueError, naming what was predicted, unless all logits are finite numbers."""
    if not logits.isfinite().all():
        raise ValueError(
            f'the logits of {what} are not finite numbers, so its classes mean nothing; give a '
            'checkpoint of a training that did not diverge, and try it without --amp'
        )


def converts_bgr_to_rgb(model: BaseSegmentor) -> bool:
    """Whether a model's preprocessor converts BGR, as OpenCV reads images, to RGB."""
    preprocessor = model.data_preprocessor
    if hasattr(preprocessor, 'channel_conversion'):  # mmsegmentation
        return preprocessor.channel_conversion
    return preprocessor._channel_conversion  # mmengine, onedl-mmsegmentation


def dataset_meta(cfg: Config, of_checkpoint: Any = None) -> dict:
    """Classes and palette of a config's test data set, without reading the data.

    ``of_checkpoint``, the ``dataset_meta`` of a checkpoint, takes the place of the ``classes.txt``
    of a ``FolderDataset`` if it names classes and a colour for each.
    """
    dataset = _test_dataset(cfg)
    cls = type_class(DATASETS, dataset)
    if reads_classes_file(cls):
        try:
            named = np.shape(of_checkpoint['palette']) == (len(of_checkpoint['classes']), 3)
        except (KeyError, TypeError, ValueError):
            named = False
        meta = of_checkpoint if named else cls.classes_of(dataset).metainfo
    else:
        # The class itself may look for its files when it is constructed.
        bare = type('Bare', (BaseSegDataset,), dict(METAINFO=cls.METAINFO))
        meta = bare(metainfo=dataset.get('metainfo'), lazy_init=True).metainfo
    return {name: meta[name] for name in ('classes', 'palette')}


def _test_dataset(cfg: Config) -> ConfigDict:
    """The config's test data set, of several in a ``ConcatDataset`` the first."""
    return next((d for _, d in datasets(cfg, 'test_dataloader')), cfg.test_dataloader.dataset)
