"""A small data set in the layout of ``FolderDataset``, and the arguments of a short run on it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.environments import ROOT

COLOURS = np.array([(0, 0, 0), (250, 170, 30), (0, 0, 142)], np.uint8)
CLASSES = ('background', 'traffic light', 'car')
VOID_COLOUR = (224, 224, 192)
NAMES = ('a b', 'c', 'sub/d')
SIZE = (48, 64)
CONFIG = ROOT / 'configs' / 'pac_bal_folder.py'
SMALL_MODEL = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.decode_head.in_channels': 32,
    'model.decode_head.channels': 8,
}
SMALL_RUN = [
    *('crop_size=32,32', 'max_iters=2', 'train_dataloader.batch_size=2'),
    *(f'{name}_dataloader.num_workers=0' for name in ('train', 'val', 'test')),
    *(f'{name}_dataloader.persistent_workers=False' for name in ('train', 'val', 'test')),
]
SMALL = [*(f'{name}={value}' for name, value in SMALL_MODEL.items()), *SMALL_RUN]


def arguments(data: Path, *args: object, options: tuple[str, ...] = ()) -> list:
    """Of a tool that runs a very small model on a folder."""
    options = (f'data_root={data}', *SMALL, *options)
    return [CONFIG, *args, '--work-dir', data.parent / 'work', '--cfg-options', *options]


def label(seed: int = 0) -> np.ndarray:
    """Blocks of the three classes and of void, uint8 (48, 64)."""
    blocks = np.random.default_rng(seed).choice([0, 1, 2, 255], (6, 8)).astype(np.uint8)
    blocks[0, :4] = (0, 1, 2, 255)
    return blocks.repeat(8, 0).repeat(8, 1)


def in_colours(values: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3)."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLOURS)], table[255] = COLOURS, VOID_COLOUR
    return table[values]


def save_mask(path: Path, values: np.ndarray, kind: str = 'index') -> None:
    """Save values as grey, as a palette image, or in the colours of classes.txt."""
    image = Image.fromarray(in_colours(values) if kind == 'rgb' else values)
    if kind == 'palette':
        image.putpalette(in_colours(np.arange(256)).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_classes(root: Path, colours: bool = True) -> None:
    lines = [
        f'{name} {" ".join(map(str, colour))}' if colours else name
        for name, colour in zip(CLASSES, COLOURS.tolist(), strict=True)
    ]
    if colours:
        lines.append('void ' + ' '.join(map(str, VOID_COLOUR)))
    root.mkdir(parents=True, exist_ok=True)
    (root / 'classes.txt').write_text('\n'.join(lines) + '\n')


def write_folder(
    root: Path, kind: str = 'index', colours: bool = True, names: tuple[str, ...] = NAMES
) -> Path:
    """Some images and their masks for training and for validation."""
    write_classes(root, colours)
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for seed, name in enumerate(names):
            image = root / 'images' / split / f'{name}.jpg'
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(image)
            save_mask(root / 'labels' / split / f'{name}.png', label(seed), kind)
    return root
