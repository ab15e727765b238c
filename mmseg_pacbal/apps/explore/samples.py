"""Label maps to look at: of a config's training data, of a folder, and uploaded ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from ...configs import datasets
from ...datasets.palette import voc_colormap
from ...openmmlab.data_checks.files import SampleFiles, check_size, read_image
from ...openmmlab.data_checks.loaders import check_data
from ...openmmlab.data_checks.samples import CheckedPipeline, base_datasets
from ...openmmlab.datasets.classes_file import read_classes
from ...openmmlab.datasets.folder import IMAGE_SUFFIXES, MASK_SUFFIXES
from ...openmmlab.datasets.folder_masks import LoadMask
from ...openmmlab.inference import init_inferencer
from ...openmmlab.inspection import inspect_sample, picture_of, spaced_indices
from ..images import require_labels

MOST = 500  # names in the list; of more labels, evenly spaced ones
MOST_PIXELS, MOST_SIDE = 16_000_000, 8000  # of an upload; blurring a side takes its square


@dataclass(frozen=True, eq=False)
class LabelSample:
    """A label map, uint8 (H, W), with the RGB of each value, uint8 (256, 3).

    It may have an image, RGB, uint8 (H, W, 3), and the cross entropy of every pixel, (H, W).
    """

    label: np.ndarray
    palette: np.ndarray
    image: np.ndarray | None = None
    loss: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """Where samples come from.

    Attributes:
        names: What the list shows.
        palette: RGB of each value, uint8 (256, 3).
        rules: How a mask is read, by the names that ``LoadMask`` has for them.
        load: The sample at a position of ``names``; it raises FileNotFoundError for a missing file,
            ValueError for a broken one.
    """

    names: Sequence[str]
    palette: np.ndarray
    rules: Mapping[str, Any]
    load: Callable[[int], LabelSample]


def config_source(cfg: Config, checkpoint: str | None = None) -> Source:
    """Whole images of a config's training data, in the pipeline of its test data: it neither
    crops nor flips. With a checkpoint of its model, also the loss of every pixel.
    """
    check_data(cfg, 'train_dataloader')
    model = None if checkpoint is None else init_inferencer(cfg, checkpoint).model
    (_, test), *_ = datasets(cfg, 'test_dataloader')
    for _, node in datasets(cfg, 'train_dataloader'):
        node.pipeline = test.pipeline
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    parts = [*base_datasets(dataset)]
    for part in parts:
        part.pipeline = CheckedPipeline(part)
    palette = full_palette(dataset.metainfo['palette'])
    indices = spaced_indices(len(dataset), MOST)

    def load(position: int) -> LabelSample:
        if model is not None:
            row = inspect_sample(model, dataset, indices[position])
            return LabelSample(row.label.astype(np.uint8), palette, row.image, row.loss)
        packed = dataset[indices[position]]
        label = packed['data_samples'].gt_sem_seg.data[0].numpy().astype(np.uint8)
        image = picture_of(packed['inputs'].permute(1, 2, 0).numpy(), label.shape)
        return LabelSample(label, palette, image)

    names = [Path(dataset.get_data_info(index)['img_path']).stem for index in indices]
    rules = ('value_of_colour', 'reduce_zero_label', 'label_map')
    return Source(names, palette, {rule: getattr(parts[0], rule, None) for rule in rules}, load)


def folder_source(folder: Path) -> Source:
    """Label maps below a folder, with the images of a sibling ``images`` if there are any.

    Colours are those of ``classes.txt``, in the folder or up to two folders above it. The image of
    ``labels/train/a.png`` is ``images/train/a.jpg``, or with another suffix of an image.
    """
    require_labels(folder)
    paths = sorted(path for path in folder.rglob('*') if path.suffix.lower() in MASK_SUFFIXES)
    if not paths:
        raise FileNotFoundError(
            f'--labels {folder} holds no label map ({", ".join(MASK_SUFFIXES)}); give a folder '
            'of label maps'
        )
    paths = [paths[index] for index in spaced_indices(len(paths), MOST)]
    lists = [above / 'classes.txt' for above in (folder, *folder.resolve().parents[:2])]
    classes = next((read_classes(path) for path in lists if path.is_file()), None)
    palette = full_palette(classes.metainfo['palette'] if classes else ())
    colours = classes.value_of_colour if classes else None
    labels = classes.label_map if classes else None
    rules = dict(value_of_colour=colours, reduce_zero_label=False, label_map=labels)

    def load(position: int) -> LabelSample:
        path = paths[position]
        label, beside = read_label(path, rules), _image_beside(path)
        if beside is None:
            return LabelSample(label, palette)
        image = np.ascontiguousarray(read_image(beside)[..., ::-1])
        check_size(SampleFiles(beside, str(path)), image.shape[:2], label.shape)
        return LabelSample(label, palette, image)

    return Source([path.relative_to(folder).as_posix() for path in paths], palette, rules, load)


def read_label(path: Path, rules: Mapping[str, Any]) -> np.ndarray:
    """The label of a mask file, uint8 (H, W), by the rules of a :class:`Source`."""
    return LoadMask().transform(dict(rules, seg_map_path=str(path), seg_fields=[]))['gt_seg_map']


def read_upload(path: Path, rules: Mapping[str, Any]) -> np.ndarray:
    """:func:`read_label` of an uploaded file, of which errors tell the name alone."""
    try:
        with Image.open(path) as image:  # its header alone: a small file may decode to gigabytes
            width, height = image.size
    except Exception:
        width = height = 0  # no image, or too large for Pillow: the reader says which
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise ValueError(
            f'{path.name} has {width} x {height} pixels, but this page accepts at most '
            f'{MOST_PIXELS // 10**6} million, and {MOST_SIDE} on a side; crop the label'
        )
    try:
        return read_label(path, rules)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), path.name)) from None


def full_palette(palette: Sequence) -> np.ndarray:
    """A palette, completed by VOC's colours to one for every value of a byte, uint8 (256, 3)."""
    full = voc_colormap()
    full[: len(palette)] = np.array(palette, np.uint8).reshape(-1, 3)
    return full


def _image_beside(label: Path) -> str | None:
    """The image of a label in ``.../labels/...``: the same name in ``.../images/...``, if any."""
    before, separator, after = label.absolute().as_posix().rpartition('/labels/')
    images = [Path(before, 'images', after).with_suffix(suffix) for suffix in IMAGE_SUFFIXES]
    return next((str(path) for path in images if separator and path.is_file()), None)
