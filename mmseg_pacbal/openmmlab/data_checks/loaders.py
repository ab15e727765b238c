"""Checks of data and classes before a long run starts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ...configs import datasets, heads
from ...errors import one_sentence
from .files import SampleFiles, read_list
from .samples import MaskRules, sample_of, summary, verify_samples


def check_data(cfg: Config, *loaders: str) -> None:
    """Check the data sets of some loaders: folders, lists, every listed file, classes.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.

    Raises:
        FileNotFoundError: A folder, list, image or mask is missing; the message names it.
        ValueError: A data set cannot be built, is empty, or differs from the model in its number
            of classes.
    """
    for loader, dataset_cfg in _dataset_configs(cfg, loaders):
        samples = _samples(_build(cfg, loader, dataset_cfg))
        files = (item for sample in samples for item in sample._asdict().items())
        missing = [f'{kind} {path}' for kind, path in files if path and not Path(path).is_file()]
        if missing:
            more = f', and so are {len(missing) - 1} more files' if len(missing) > 1 else ''
            raise FileNotFoundError(
                f'{loader}: {missing[0]} is missing{more}; complete the data set, in which every '
                'image needs a mask of its name'
            )


def verify_data(cfg: Config, *loaders: str) -> list[str]:
    """Every problem, one sentence each: the checks of :func:`check_data` on every file, read.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.
    """
    problems: list[str] = []
    for loader, dataset_cfg in _dataset_configs(cfg, loaders):
        try:
            dataset = _build(cfg, loader, dataset_cfg)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
        else:
            problems += (f'{loader}: {problem}' for problem in _verify(loader, dataset))
    return list(dict.fromkeys(problems))


def _verify(loader: str, dataset: BaseSegDataset) -> list[str]:
    """Print a line on a data set; its problems."""
    rules, folder = MaskRules.of(dataset), dataset.data_prefix['img_path']
    found, classes = verify_samples(_samples(dataset), rules, loader), dataset.metainfo['classes']
    absent = [name for label, name in enumerate(classes) if not found.counts[label]]
    print(summary(f'{loader}, {folder}', found, rules, absent))
    problems = found.problems
    if absent and len(classes) == 2:
        problems.append(
            f'no mask of {folder} marks {" or ".join(absent)}, one of two classes; if masks mark '
            'it by 255, which is void, save its index instead'
        )
    unused = getattr(dataset, 'unused_masks', ())
    return problems + [f'mask {path} has no image in {folder}' for path in unused]


def _dataset_configs(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, ConfigDict]]:
    init_default_scope(cfg.get('default_scope', 'mmseg'))  # the runner would do it later
    for loader in loaders:
        yield from ((loader, dataset_cfg) for _, dataset_cfg in datasets(cfg, loader))


def _build(cfg: Config, loader: str, dataset_cfg: ConfigDict) -> BaseSegDataset:
    """Build a data set after checking its folders, list and classes, but not its files."""
    try:
        if not getattr(DATASETS.get(dataset_cfg.type), 'makes_its_data', False):
            _check_folders(dataset_cfg)
        dataset = DATASETS.build(dataset_cfg)
    except Exception as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f'{loader}: {one_sentence(error)}') from error
    if not len(dataset):
        raise ValueError(
            f'{loader}: {dataset_cfg.type} finds no images *{dataset.img_suffix} in '
            f'{dataset.data_prefix["img_path"]}; put some there, or set '
            'img_suffix=... or data_root=...'
        )
    num_classes = len(dataset.metainfo['classes'])
    for name, head in heads(cfg):
        if head.num_classes != num_classes:
            raise ValueError(
                f'{name}.num_classes is {head.num_classes}, but {dataset_cfg.type} has '
                f'{num_classes} classes; set {name}.num_classes={num_classes}'
            )
    return dataset


def _check_folders(cfg: ConfigDict) -> None:
    root = Path(cfg.get('data_root') or '')
    folders = [('data_root', ''), *cfg.get('data_prefix', {}).items()]
    for name, folder in folders:
        if folder is not None and not (root / folder).is_dir():
            raise FileNotFoundError(
                f'{name} {root / folder} does not exist; complete the data set or set data_root=...'
            )
    if cfg.get('ann_file'):
        read_list(root / cfg.ann_file)


def _samples(dataset: BaseSegDataset) -> list[SampleFiles]:
    return [sample_of(dataset.get_data_info(index)) for index in range(len(dataset))]
