"""Checks of data, classes and checkpoints before a long run starts."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.registry import DATASETS
from torch import nn

from .cli import datasets, one_sentence


def check_data(cfg: Config, *loaders: str) -> None:
    """Check the data sets of some loaders: folders, lists, every listed file, classes.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.

    Raises:
        FileNotFoundError: A folder, list, image or mask is missing; the message names it.
        ValueError: A data set cannot be built, is empty, or has not the model's classes.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))  # which the runner would do later
    for loader in loaders:
        for dataset_cfg in datasets(cfg[loader]):
            cls = DATASETS.get(dataset_cfg.type)
            if cls is None:
                raise ValueError(f'{loader}: there is no data set type {dataset_cfg.type!r}')
            if not getattr(cls, 'makes_its_data', False):
                _check_folders(loader, dataset_cfg)
            try:
                dataset = DATASETS.build(dataset_cfg)
            except Exception as error:
                raise ValueError(f'{loader}: {one_sentence(error)}') from error
            _check_files(loader, dataset, dataset_cfg)
            _check_classes(cfg, len(dataset.metainfo['classes']), dataset_cfg.type)


def check_checkpoint(model: nn.Module, path: str) -> None:
    """Check that a checkpoint's weights are those of the model, name by name, size by size.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A weight is missing, unknown or of another size.
        pickle.UnpicklingError: The file is broken or holds more than a checkpoint may.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'checkpoint {path} holds no weights; give one that training wrote')
    expected = {name: value.shape for name, value in model.state_dict().items()}
    found = {name.removeprefix('module.'): getattr(v, 'shape', None) for name, v in state.items()}
    problems = [f'{name} is missing' for name in expected.keys() - found.keys()]
    problems += [f'{name} is unknown' for name in found.keys() - expected.keys()]
    problems += [
        f'{name} is {tuple(found[name])} instead of {tuple(expected[name])}'
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    problems = [p for p in sorted(problems) if 'num_batches_tracked' not in p]
    if problems:
        raise ValueError(
            f'checkpoint {path} is not of this config: {"; ".join(problems[:3])}'
            f'{f"; and {len(problems) - 3} more" if len(problems) > 3 else ""}'
        )


def _check_folders(loader: str, cfg: Config) -> None:
    root = Path(cfg.get('data_root') or '')
    if not root.is_dir():
        raise FileNotFoundError(
            f'{loader}: data_root {root} does not exist; put the data set there or give its '
            'folder with --cfg-options data_root=...'
        )
    for name, folder in cfg.get('data_prefix', {}).items():
        if folder is not None and not (root / folder).is_dir():
            raise FileNotFoundError(
                f'{loader}: {name} {root / folder} does not exist; complete the data set or '
                'give another folder with --cfg-options data_root=...'
            )
    if cfg.get('ann_file') and not (root / cfg.ann_file).is_file():
        raise FileNotFoundError(f'{loader}: the list of images {root / cfg.ann_file} is missing')


def _check_files(loader: str, dataset, cfg: Config) -> None:
    samples = [dataset.get_data_info(i) for i in range(len(dataset))]
    if not samples:
        raise ValueError(
            f'{loader}: {cfg.type} finds no image *{dataset.img_suffix} in '
            f'{dataset.data_prefix["img_path"]}'
        )
    paths = [s[key] for s in samples for key in ('img_path', 'seg_map_path') if key in s]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        raise FileNotFoundError(f'{loader}: {missing[0]}{more} is missing')


def _check_classes(cfg: Config, num_classes: int, dataset_type: str) -> None:
    model = cfg.model.get('module', cfg.model)  # test-time augmentation wraps the model
    for name in ('decode_head', 'auxiliary_head'):
        heads = model.get(name) or []
        for head in heads if isinstance(heads, (list, tuple)) else [heads]:
            if head.num_classes != num_classes:
                raise ValueError(
                    f'model.{name}.num_classes is {head.num_classes}, but {dataset_type} has '
                    f'{num_classes} classes; give --cfg-options '
                    f'model.{name}.num_classes={num_classes}'
                )
