"""The tree of PASCAL VOC 2012 with SBD's masks: its folders, its lists and their checks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...openmmlab.data_checks.files import SampleFiles, read_list
from ...openmmlab.data_checks.samples import MaskRules, summary, verify_samples

IMAGES = 'JPEGImages'
MASKS = 'SegmentationClass'
AUG_MASKS = 'SegmentationClassAug'
# Images in each list, and the folder whose masks go with it.
COUNTS = dict(train=1464, val=1449, trainaug=10582, aug=9118)
MASKS_OF = dict(train=MASKS, val=MASKS, trainaug=AUG_MASKS, aug=AUG_MASKS)
RULES = MaskRules(num_classes=21)


def list_path(root: Path, name: str) -> Path:
    """The file of a list such as ``'train'`` below ``VOC2012``."""
    return root / 'ImageSets' / 'Segmentation' / f'{name}.txt'


def augmented_lists(
    train: Sequence[str], val: Sequence[str], sbd: Sequence[str]
) -> dict[str, list[str]]:
    """``trainaug`` (VOC's and SBD's training images without ``val``) and what it adds, ``aug``."""
    trainaug = {*train, *sbd} - {*val}
    return dict(trainaug=sorted(trainaug), aug=sorted(trainaug - {*train}))


def list_problems(lists: dict[str, list[str]]) -> list[str]:
    """What is wrong with the lists alone, one sentence each: counts, duplicates, overlaps."""
    problems = []
    for name, names in lists.items():
        if len(names) != COUNTS[name]:
            problems.append(f'{name}.txt has length {len(names):,} instead of {COUNTS[name]:,}')
        problems += [f'{name}.txt names {n} {k} times' for n, k in Counter(names).items() if k > 1]
    sets = {name: set(lists.get(name, ())) for name in COUNTS}
    for name in ('train', 'trainaug', 'aug'):
        for common in sorted(sets[name] & sets['val']):
            problems.append(f'{common} is in both {name}.txt and val.txt')
    if {'train', 'aug', 'trainaug'} <= lists.keys():
        for odd in sorted(sets['trainaug'] ^ (sets['train'] | sets['aug'])):
            where = 'trainaug.txt only' if odd in sets['trainaug'] else 'train.txt or aug.txt only'
            problems.append(f'{odd} is in {where}, but trainaug is train and aug together')
    return problems


def samples(root: Path, name: str, names: Sequence[str]) -> list[SampleFiles]:
    """Image and mask of every name of a list."""
    masks = root / MASKS_OF[name]
    return [SampleFiles(str(root / IMAGES / f'{n}.jpg'), str(masks / f'{n}.png')) for n in names]


def check_tree(root: Path) -> list[str]:
    """Read every image and mask that the lists in ``VOC2012`` name, and print a line for each list.

    Returns problems, one sentence each.
    """
    lists, problems = {}, []
    for name in COUNTS:
        try:
            lists[name] = read_list(list_path(root, name))
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
    problems += list_problems(lists)
    for name, names in lists.items():
        found = verify_samples(samples(root, name, names), RULES, f'Checking {name}')
        print(summary(f'{name}, {MASKS_OF[name]}', found, RULES))
        problems += found.problems
    return list(dict.fromkeys(problems))
