"""Checks of data, classes and checkpoints before a long run starts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from torch import Tensor, nn

from .cli import datasets, one_sentence
from .datasets.verify import read_list
from .datasets.verify_dataset import accepted_in_files, sample_of, summary, verify_samples


def check_data(cfg: Config, *loaders: str) -> None:
    """Check the data sets of some loaders: folders, lists, every listed file, classes.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.

    Raises:
        FileNotFoundError: A folder, list, image or mask is missing; the message names it.
        ValueError: A data set cannot be built, is empty, or has not the model's classes.
    """
    for loader, dataset_cfg in _dataset_configs(cfg, loaders):
        _check_files(loader, _build(cfg, loader, dataset_cfg))


def verify_data(cfg: Config, *loaders: str) -> list[str]:
    """Find all there is to find: what :func:`check_data` checks, and every file is read.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.

    Returns:
        Problems, one sentence each.
    """
    problems = []
    for loader, dataset_cfg in _dataset_configs(cfg, loaders):
        try:
            dataset = _build(cfg, loader, dataset_cfg)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
            continue
        verdicts = verify_samples(
            [sample_of(dataset.get_data_info(i)) for i in range(len(dataset))],
            accepted_in_files(dataset),
            dataset.ignore_index,
            loader,
        )
        print(summary(f'{loader}, {dataset.data_prefix["img_path"]}', verdicts))
        problems += [f'{loader}: {p}' for verdict in verdicts for p in verdict.problems]
    return list(dict.fromkeys(problems))


def check_checkpoint(model: nn.Module, path: str | Path, *, resume: bool = False) -> None:
    """Check that a checkpoint's weights are those of the model, name by name, size by size.

    Args:
        model: What they are for.
        path: Of a checkpoint.
        resume: It must hold the state of training, too.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A weight is missing, unknown or of another size, or the state is missing.
        pickle.UnpicklingError: The file is broken or holds more than a checkpoint may.
    """
    checkpoint = _read_checkpoint(path)
    absent = [name for name in ('meta', 'optimizer', 'message_hub') if name not in checkpoint]
    if resume and absent:
        raise ValueError(
            f'checkpoint {path} has no {", ".join(absent)}, so training cannot go on from it; '
            'start from its weights without --resume, with --cfg-options load_from=...'
        )
    problems = _misfits(model, _shapes(checkpoint))
    if problems:
        raise ValueError(f'checkpoint {path} is not of this config: {_first(problems)}')


def check_initial_weights(model: nn.Module, load_from: str | None) -> None:
    """Check that local checkpoints which a model starts from have any weight for it.

    A head for other classes may well differ; mmengine loads the rest and logs what it left.

    Args:
        model: With the ``init_cfg`` of its parts, where ``pretrained`` of configs ends up.
        load_from: The config's.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: None of its weights fits.
        pickle.UnpicklingError: The file is broken or holds more than a checkpoint may.
    """
    starts = [(model, 'load_from', dict(checkpoint=load_from))] if load_from else []
    for name, module in model.named_modules():
        # Backbones that convert names load their weights themselves.
        if getattr(type(module), 'init_weights', None) is BaseModule.init_weights:
            inits = module.init_cfg if isinstance(module.init_cfg, list) else [module.init_cfg]
            pretrained = ('Pretrained', PretrainedInit)
            starts += [(module, name, i) for i in inits if i and i['type'] in pretrained]
    for module, name, init in starts:
        path, prefix = init['checkpoint'], init.get('prefix')
        if '://' in str(path):
            continue
        found = _shapes(_read_checkpoint(path))
        if prefix:
            prefix = prefix.rstrip('.') + '.'
            found = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
        problems = _misfits(module, found)
        if not any(found.get(k) == tuple(v.shape) for k, v in module.state_dict().items()):
            raise ValueError(f'no weight in {path} fits {name}: {_first(problems)}')


def _read_checkpoint(path: str | Path) -> dict:
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f'checkpoint {path} holds no weights; give one that training wrote')
    return checkpoint


def _shapes(checkpoint: dict) -> dict[str, tuple | None]:
    """Sizes of a checkpoint's weights, None for what is no tensor."""
    state = checkpoint.get('state_dict', checkpoint)
    return {
        name.removeprefix('module.'): tuple(v.shape) if isinstance(v, Tensor) else None
        for name, v in state.items()
    }


def _misfits(model: nn.Module, found: dict[str, tuple | None]) -> list[str]:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    problems = [f'{name} is missing' for name in expected.keys() - found.keys()]
    problems += [f'{name} is unknown' for name in found.keys() - expected.keys()]
    problems += [
        f'{name} is {found[name]} instead of {expected[name]}'
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    return [p for p in sorted(problems) if 'num_batches_tracked' not in p]


def _first(problems: list[str]) -> str:
    more = f'; and {len(problems) - 3} more' if len(problems) > 3 else ''
    return '; '.join(problems[:3]) + more


def _dataset_configs(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, ConfigDict]]:
    init_default_scope(cfg.get('default_scope', 'mmseg'))  # which the runner would do later
    for loader in loaders:
        for dataset_cfg in datasets(cfg[loader]):
            yield loader, dataset_cfg


def _build(cfg: Config, loader: str, dataset_cfg: ConfigDict) -> BaseSegDataset:
    """A data set whose folders, list and classes are as they should be, if not its files."""
    cls = DATASETS.get(dataset_cfg.type)
    if cls is None:
        raise ValueError(f'{loader}: there is no data set type {dataset_cfg.type!r}')
    if not getattr(cls, 'makes_its_data', False):
        _check_folders(loader, dataset_cfg)
    try:
        dataset = DATASETS.build(dataset_cfg)
    except Exception as error:
        raise ValueError(f'{loader}: {one_sentence(error)}') from error
    if not len(dataset):
        raise ValueError(
            f'{loader}: {dataset_cfg.type} finds no image *{dataset.img_suffix} in '
            f'{dataset.data_prefix["img_path"]}'
        )
    _check_classes(cfg, len(dataset.metainfo['classes']), dataset_cfg.type)
    return dataset


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
    if cfg.get('ann_file'):
        try:
            read_list(root / cfg.ann_file)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f'{loader}: {error}') from None


def _check_files(loader: str, dataset: BaseSegDataset) -> None:
    samples = (sample_of(dataset.get_data_info(i)) for i in range(len(dataset)))
    missing = [path for sample in samples for path in sample if path and not Path(path).is_file()]
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
