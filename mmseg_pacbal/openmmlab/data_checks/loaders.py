"""Checks of data and classes before a long run starts."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ...configs import datasets, heads, type_class, type_name, walk
from ...datasets.palette import VOID
from ...errors import one_sentence
from ..datasets.classes_file import Classes
from .files import SampleFiles, read_list
from .samples import Findings, MaskRules, attempt, sample_of, summary, verify_samples


def check_data(cfg: Config, *loaders: str) -> None:
    """Check the data sets of some loaders, such as ``'train_dataloader'``: folders, lists, every
    listed file, classes. FileNotFoundError names what is missing, ValueError what does not fit.
    """
    for loader, parts in _dataset_configs(cfg, loaders):
        built = [_build(cfg, loader, part) for part in parts]
        _check_same_metainfo(cfg, loader, built)
        for dataset in built:
            files = (item for sample in _samples(dataset) for item in sample._asdict().items())
            missing = [
                f'{kind} {path}' for kind, path in files if path and not os.path.isfile(path)
            ]
            if missing:
                more = f', and so are {len(missing) - 1} more files' if len(missing) > 1 else ''
                found = '; '.join([f'{missing[0]} is missing{more}', *_unused_masks(dataset)[:1]])
                raise FileNotFoundError(
                    f'{loader}: {found}; complete the data set, in which every image needs a mask '
                    'of its name'
                )


def verify_data(cfg: Config, *loaders: str) -> list[str]:
    """Every problem, one sentence each: the checks of :func:`check_data` on every file, read.

    Args:
        cfg: A config.
        loaders: Names such as ``'train_dataloader'``.
    """
    return examine_data(cfg, *loaders)[0]


def examine_data(cfg: Config, *loaders: str) -> tuple[list[str], dict[str, int]]:
    """The problems of :func:`verify_data`, and the number of images that each loader reads."""
    problems: list[str] = []
    images: dict[str, int] = {}
    read: list[tuple[str, BaseSegDataset, Findings]] = []
    for loader, parts in _dataset_configs(cfg, loaders):
        built = [*filter(None, (attempt(problems, _build, cfg, loader, part) for part in parts))]
        for dataset in built:
            found = _verify(loader, dataset)
            problems += (f'{loader}: {problem}' for problem in found.problems)
            read.append((loader, dataset, found))
            images[loader] = images.get(loader, 0) + len(dataset)
        attempt(problems, _check_same_metainfo, cfg, loader, built)
    void_is_used = any(found.void_beside_classes for *_, found in read)
    for part in read:
        problems += _unmarked(*part, void_is_used)
    return list(dict.fromkeys(problems)), images


def _verify(loader: str, dataset: BaseSegDataset) -> Findings:
    """Print a line on a data set; what was found in it."""
    rules, folder = MaskRules.of(dataset), dataset.data_prefix['img_path']
    found = verify_samples(_samples(dataset), rules, loader)
    print(summary(f'{loader}, {folder}', found, rules, _absent(dataset, found)))
    return found._replace(problems=[*found.problems, *_unused_masks(dataset)])


def _unused_masks(dataset: BaseSegDataset) -> list[str]:
    folder = dataset.data_prefix['img_path']
    return [f'mask {p} has no image in {folder}' for p in getattr(dataset, 'unused_masks', ())]


def _absent(dataset: BaseSegDataset, found: Findings) -> list[str]:
    """The classes that have no pixel."""
    classes = dataset.metainfo['classes']
    return [name for label, name in enumerate(classes) if not found.counts[label]]


def _unmarked(
    loader: str, dataset: BaseSegDataset, found: Findings, void_is_used: bool
) -> list[str]:
    """The problem, if there is one, of masks that mark nothing, or void alone.

    A binary mask of 0 and 255 is read so. Where void occurs beside classes, too, or has a colour,
    or where there is no ``classes.txt`` to say what 255 means, it may be meant: a line is printed.
    """
    classes, folder = dataset.metainfo['classes'], dataset.data_prefix['img_path']
    file, absent = getattr(dataset, 'classes_txt', None), _absent(dataset, found)
    if absent and len(classes) == 2:
        what = f'{loader}: no mask of {folder} marks {" or ".join(absent)}, one of two classes'
        remedy = 'mark it, or give the folder of its masks'
        if found.counts[VOID]:
            remedy = _meaning_of_255(file, classes.index(absent[-1]))
        return [f'{what}; {remedy}']
    if not found.unmarked or (file and file.void_values):
        return []
    what = (
        f'{loader}: {len(found.unmarked):,} of {found.images:,} masks, {found.unmarked[0]} the '
        f'first, hold 255, which is void, and no class but at most {classes[0]}; '
        f'{_meaning_of_255(file, 1)}'
    )
    if file and not file.void and not void_is_used:
        return [what]
    print(what)
    return []


def _meaning_of_255(file: Classes | None, label: int) -> str:
    """What to do if it marks a class, of a label for example, and what if it is void."""
    if file is None:
        return 'if masks mark it by 255, which is void, save its index instead'
    name, values = file.names[label], file.values[label] if file.values else (label,)
    which = name if len(file.names) == 2 else f'{name}, for example,'
    return (
        f"if 255 marks {which} there, append '= {' '.join(map(str, values))} 255' to its line in "
        "classes.txt; if it is void, add a last line 'void = 255'"
    )


def _check_same_metainfo(cfg: Config, loader: str, parts: Sequence[BaseSegDataset]) -> None:
    """Check what ``ConcatDataset`` will check, which does not say what differs."""
    nodes = [node for _, node in walk(cfg.get(loader)) if type_name(node) == 'ConcatDataset']
    if not nodes:
        return
    for number, part in enumerate(parts[1:], 2):
        for key in sorted(parts[0].metainfo.keys() - {*(nodes[0].get('ignore_keys') or ())}):
            one, other, where = parts[0].metainfo[key], part.metainfo.get(key), key
            if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
                pairs = enumerate(zip(one, other, strict=False))
                place = next((i for i, (a, b) in pairs if a != b), None)
                if place is not None:
                    one, other, where = one[place], other[place], f'{key}[{place}]'
            if repr(one) != repr(other):
                raise ValueError(
                    f'{loader}: data sets 1 and {number} differ in {where}, {one!r} and {other!r}, '
                    f'so ConcatDataset refuses them; give both the same metainfo=dict({key}=...), '
                    f"or ignore_keys=['{key}'] to the ConcatDataset if that of the first holds"
                )


def _dataset_configs(cfg: Config, loaders: Sequence[str]) -> Iterator[tuple[str, list[ConfigDict]]]:
    init_default_scope(cfg.get('default_scope', 'mmseg'))  # the runner would do it later
    for loader in loaders:
        yield loader, [dataset_cfg for _, dataset_cfg in datasets(cfg, loader)]


def _build(cfg: Config, loader: str, dataset_cfg: ConfigDict) -> BaseSegDataset:
    """Build a data set after checking its folders, list and classes, but not its files."""
    try:
        if not getattr(type_class(DATASETS, dataset_cfg), 'makes_its_data', False):
            _check_folders(dataset_cfg)
        dataset = DATASETS.build(dataset_cfg)
    except Exception as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f'{loader}: {one_sentence(error)}') from error
    if not len(dataset):
        raise ValueError(
            f'{loader}: {type_name(dataset_cfg)} finds no images *{dataset.img_suffix} in '
            f'{dataset.data_prefix["img_path"]}; put some there, or set '
            'img_suffix=... or data_root=...'
        )
    num_classes = len(dataset.metainfo['classes'])
    for name, head in heads(cfg):
        if head.num_classes != num_classes:
            raise ValueError(
                f'{name}.num_classes is {head.num_classes}, but {type_name(dataset_cfg)} has '
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
