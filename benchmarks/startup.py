"""How long tools take to start: processes of this build beside those of another checkout.

python -m benchmarks.startup --checkout FOLDER    such as a git worktree; without it this build
is timed beside itself, which shows how far a ratio is noise
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import cv2
import torch

from benchmarks.harness import blocks, main, quantiles
from benchmarks.records import ROOT, ratios, source
from mmseg_pacbal.markdown import to_markdown

IMAGES, DISTINCT, SIZE = 10_000, 50, (240, 320)  # of a folder that is checked


def commands(folder: Path, turn: int) -> dict[str, list[str]]:
    """Arguments of Python by what they do; the first training makes the data and a checkpoint."""
    data, run = folder / 'VOC2012', folder / 'run0'
    demo, checkpoint = 'configs/pac_bal_demo.py', str(run / 'iter_1.pth')
    image = str(data / 'JPEGImages' / '2011_000001.jpg')
    options = ['--cfg-options', f'data_root={data}', 'max_iters=1']
    one_image = [f'{name}_dataloader.dataset.indices=1' for name in ('val', 'test')]

    def new(name: str) -> list[str]:
        return ['--work-dir' if name != 'out' else '--out', str(folder / f'{name}{turn}')]

    return {
        'train: one iteration, one image of validation': [
            *('tools/train.py', demo, *new('run'), *options, *one_image)
        ],
        'test: one image': ['tools/test.py', demo, checkpoint, *new('test'), *options, *one_image],
        'predict: one image': ['tools/predict.py', demo, checkpoint, image, *new('out')],
        'check: 200 images': ['tools/train.py', demo, '--check', *options],
        f'check: {IMAGES:,} images of {SIZE[1]}x{SIZE[0]}': [
            *('tools/train.py', 'configs/pac_bal_folder.py', '--check'),
            *('--cfg-options', f'data_root={folder.parent / "images"}'),
        ],
        '`--help`': ['tools/train.py', '--help'],
        '`import mmseg_pacbal`': ['-c', 'import mmseg_pacbal'],
    }


def measure(args: argparse.Namespace) -> dict:
    """Builds take turns process by process; the first turn fills caches and is not kept."""
    builds = dict(now=ROOT, earlier=Path(args.checkout or ROOT).resolve())
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder, 'images'))
        for turn in range(args.repeats + 1):
            todo = {build: commands(Path(folder, build), turn) for build in builds}
            for case in todo['now']:
                for build, root in builds.items():
                    taken = cpu_seconds(root, todo[build][case], args.threads)
                    if turn:
                        seconds.setdefault(case, {}).setdefault(build, []).append(taken)
    cases = {
        case: {build: quantiles(values) for build, values in both.items()}
        for case, both in seconds.items()
    }
    return dict(checkout=Path(args.checkout).name, cases=cases)


def write_images(root: Path) -> None:
    """A folder of JPEGs and masks, of which every ``DISTINCT`` are linked again and again."""
    for split, number in (('train', IMAGES * 9 // 10), ('val', IMAGES // 10)):
        for kind in ('images', 'labels'):
            (root / kind / split).mkdir(parents=True)
        pairs = (('images', '.jpg'), ('labels', '.png'))
        for index, (kind, suffix) in itertools.product(range(number), pairs):
            path, first = (root / kind / split / f'{i}{suffix}' for i in (index, index % DISTINCT))
            if index >= DISTINCT:
                path.hardlink_to(first)
                continue
            seeded = torch.Generator().manual_seed(index)
            label = blocks(seeded, 5, (1, *SIZE))[0].numpy().astype('uint8')
            noise = torch.randint(-20, 20, (*SIZE, 3), generator=seeded).numpy()
            image = (50 * label[..., None] + noise).clip(0, 255).astype('uint8')
            cv2.imwrite(str(path), image if kind == 'images' else label)
    (root / 'classes.txt').write_text('a\nb\nc\nd\ne\n')


def cpu_seconds(root: Path, words: list[str], threads: int) -> float:
    """Of a process of Python that starts in a checkout."""
    variables = dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS=str(threads))
    before = getrusage(RUSAGE_CHILDREN)
    command = [sys.executable, *words]
    subprocess.run(command, cwd=root, env=variables, check=True, stdout=subprocess.DEVNULL)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(record: dict) -> str:
    rows = []
    for case, times in record['results']['cases'].items():
        now, earlier = times['now'], times['earlier']
        shown = [f'{earlier["p50"]:.2f} s', f'{now["p50"]:.2f} s']
        rows.append([case, *shown, *ratios(now, earlier)])
    head = ['a process', 'earlier', 'now', 'ratio of p20', 'of p50', 'of p80']
    return to_markdown(head, rows, left=1) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, repeats=7, threads=1, checkout='')
