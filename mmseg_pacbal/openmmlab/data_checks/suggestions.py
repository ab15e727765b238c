"""Settings that the size of the images suggests: a rule, not a finding (docs/choose_weights.md)."""

from collections.abc import Iterator

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS

from ...configs import datasets, type_name, walk

SHARE = 0.28  # kernel_size * downsample, of the longer side: the paper's 35 * 4 of VOC's 500 pixels
SMALLEST_KERNEL, DOWNSAMPLE = 15, 4  # the smallest kernel and the largest rate of its Table 1
LARGEST_CROP = 513  # of the shipped configs
STRIDE = 16  # of their features; a crop of 16 n + 1 pixels is a whole number of steps
SAMPLES = 100  # how many images are looked at


def suggest(cfg: Config) -> None:
    """Print crop, kernel and downsample that fit the images, as ``--cfg-options``.

    Sizes are those at which the network sees whole images: after the pipeline of the validation.
    """
    sizes = np.array([*image_sizes(cfg)])  # (images, 2)
    if not sizes.size:
        return
    height, width = np.median(sizes, axis=0).round().astype(int).tolist()
    options: dict[str, object] = {}
    if 'crop_size' in cfg:
        crop = [crop_side(height), crop_side(width)]
        options['crop_size'] = f'{crop[0]},{crop[1]}'
    for path, node in walk(cfg.model, 'model'):
        if type_name(node) == 'BoundaryAwareLoss':
            kernel_size, downsample = blur(float(np.median(sizes.max(axis=1))))
            options |= {f'{path}.kernel_size': kernel_size, f'{path}.downsample': downsample}
    if not options:
        return
    print(f'suggested by the size of the images, {width}x{height} pixels in the median:')
    print('    --cfg-options', *(f'{name}={value}' for name, value in options.items()))
    print('    (a rule to start from; batch_size depends on your memory, not on the data)')


def image_sizes(cfg: Config) -> Iterator[tuple[int, int]]:
    """Height and width of images of the validation as the network sees them."""
    for _, node in datasets(cfg, 'val_dataloader'):
        dataset = DATASETS.build(node)
        for index in range(0, len(dataset), -(-len(dataset) // SAMPLES)):
            shape = dataset[index]['data_samples'].metainfo.get('img_shape')
            if shape is not None:
                yield tuple(shape[:2])


def blur(longer_side: float) -> tuple[int, int]:
    """``kernel_size`` and ``downsample`` whose product is :data:`SHARE` of a side in pixels.

    A kernel of few pixels has no shape, so ``downsample`` is halved until it has enough.
    """
    downsample = DOWNSAMPLE
    while downsample > 1 and SHARE * longer_side / downsample < SMALLEST_KERNEL:
        downsample //= 2
    return 2 * round((SHARE * longer_side / downsample - 1) / 2) + 1, downsample


def crop_side(side: int) -> int:
    """The side of a crop: as much of an image as fits, 16 n + 1 and at most 513 pixels."""
    return min(LARGEST_CROP, max(1, (side - 1) // STRIDE) * STRIDE + 1)
