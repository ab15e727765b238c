"""Label your own images.

The masks are palette PNGs, whose values are the classes; the overlays are the images with their
classes painted over them (JPEG). Subfolders are kept. A mask has the size at which viewers show the
image, turned as its EXIF orientation says. Grey, transparent, palette and 16-bit images are read as
8-bit colour, without their transparency, unless the LoadImageFromFile of the config's test pipeline
says otherwise. The data set is not needed. Files that cannot be read are listed at the end, and the
exit code is then 1.

With --probabilities there is also a grey PNG for each class, probabilities/<class>/<image>.png: the
softmax of the logits, or of a head with one output channel the sigmoid, of class 1 alone. The
largest value, 255 or 65535, is a probability of 1; values are rounded to the nearest.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from torch import Tensor

from ..datasets.palette import palette_image
from ..openmmlab.completion import load_complete_config
from ..openmmlab.data_checks.files import read_image
from ..openmmlab.engine import inference_autocast
from ..openmmlab.inference import init_inferencer, require_finite
from ..openmmlab.inspection import picture_of
from ..openmmlab.terminal import shown_progress
from ..visualization import paint, with_legend
from . import cli
from .images import MASKS, OVERLAYS, PROBABILITIES, Job, find_jobs


def main(args: argparse.Namespace) -> None:
    cfg = load_complete_config(args.config, args.cfg_options)
    jobs = find_jobs(Path(args.source), Path(args.out))
    inferencer = init_inferencer(cfg, args.checkpoint, args.device)
    labels = labels_of_channels(inferencer.model.out_channels) if args.probabilities else []
    of_classes = [job.probability(label) for job in jobs for label in labels]
    cli.check_outputs(args, of_classes, [job.path for job in jobs])
    meta = inferencer.model.dataset_meta
    palette, classes = meta['palette'], meta['classes'] if args.legend else None
    if len(palette) > 256:
        raise ValueError(f'a mask can hold 256 classes, but the data set has {len(palette)}')

    (loader,) = [t.from_file for t in inferencer.pipeline.transforms if hasattr(t, 'from_file')]
    autocast = inference_autocast(inferencer.model) if args.amp else nullcontext()
    unreadable: list[str] = []
    done = 0
    with shown_progress('Labelling', len(jobs)) as tell, autocast:
        for batch in batches(read_images(jobs, loader, unreadable), args.batch_size):
            images = [image for _, image in batch]
            samples = inferencer(images, batch_size=len(batch), return_datasamples=True)
            # For a single image MMSegmentation returns the sample itself, not a list of one.
            samples = [samples] if len(batch) == 1 else samples
            for (job, image), sample in zip(batch, samples, strict=True):
                require_finite(sample.seg_logits.data, str(job.path))
                # Of one output channel, MMSegmentation gives classes as floating-point numbers.
                label = sample.pred_sem_seg.data[0].long().cpu().numpy()
                save(job, image, label, palette, args.opacity, classes)
                if labels:
                    save_probabilities(job, sample.seg_logits.data, args.probabilities)
            done += len(batch)
            tell(done + len(unreadable))
    folders = ', '.join(f'{args.out}/{name}' for name in (MASKS, OVERLAYS))
    print(f'labelled {len(jobs) - len(unreadable)} of {len(jobs)} images: {folders}')
    for label in labels:
        print(f'probabilities of {meta["classes"][label]}: {args.out}/{PROBABILITIES}/{label}')
    print(*unreadable, sep='\n', end='\n' if unreadable else '')
    if unreadable:
        raise ValueError(f'{len(unreadable)} of {len(jobs)} files could not be read; see above')


def read_images(
    jobs: Iterable[Job], loader: LoadImageFromFile, unreadable: list[str]
) -> Iterator[tuple[Job, np.ndarray]]:
    """Jobs with their images; errors of unreadable files are added to a list."""
    for job in jobs:
        try:
            yield job, read_image(str(job.path), loader)
        except (FileNotFoundError, ValueError) as error:
            unreadable.append(str(error))


def batches(
    items: Iterable[tuple[Job, np.ndarray]], size: int
) -> Iterator[list[tuple[Job, np.ndarray]]]:
    """Group images of one size; no more than 4 batches of images wait at any time."""
    waiting = defaultdict(list)
    for item in items:
        shape = item[1].shape
        waiting[shape].append(item)
        if len(waiting[shape]) == size:
            yield waiting.pop(shape)
        elif sum(map(len, waiting.values())) >= 4 * size:
            yield waiting.pop(max(waiting, key=lambda shape: len(waiting[shape])))
    yield from waiting.values()


def save(
    job: Job,
    image: np.ndarray,
    label: np.ndarray,
    palette: Sequence,
    opacity: float,
    classes: Sequence[str] | None,
) -> None:
    """Write the mask and the overlay of a BGR image with label (H, W), with a legend of classes."""
    job.mask.parent.mkdir(parents=True, exist_ok=True)
    palette_image(label, palette).save(job.mask)
    picture = picture_of(image, label.shape)
    blend = cv2.addWeighted(paint(label, palette), opacity, picture, 1 - opacity, 0)
    blend = with_legend(blend, label, classes, palette) if classes else blend
    mmcv.imwrite(mmcv.rgb2bgr(blend), str(job.overlay))


def labels_of_channels(channels: int) -> list[int]:
    """The classes whose probabilities the output channels of a model give."""
    return [*range(channels)] if channels > 1 else [1]


def save_probabilities(job: Job, scores: Tensor, bits: int) -> None:
    """Write the probability of each class as a grey picture: 2**bits - 1 is 1, values are rounded.

    ``scores`` are ``seg_logits``, (C, H, W): logits, or of one channel their sigmoid, which
    MMSegmentation has taken.
    """
    scores = scores.float()
    shares = scores if len(scores) == 1 else scores.softmax(dim=0)
    levels = (shares * (2**bits - 1)).round().cpu().numpy().astype(f'uint{bits}')
    for label, level in zip(labels_of_channels(len(scores)), levels, strict=True):
        mmcv.imwrite(level, str(job.probability(label)))
