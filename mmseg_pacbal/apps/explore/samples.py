"""Label maps to look at: those of a config's training data, or those of a folder."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from ...configs import datasets
from ...datasets.palette import voc_colormap
from ...openmmlab.data_checks.files import SampleFiles as Files
from ...openmmlab.data_checks.files import check_size, read_image
from ...openmmlab.data_checks.loaders import check_data
from ...openmmlab.data_checks.samples import CheckedPipeline, base_datasets
from ...openmmlab.datasets.classes_file import Classes, read_classes
from ...openmmlab.datasets.folder import IMAGE_SUFFIXES, MASK_SUFFIXES
from ...openmmlab.datasets.folder_masks import LoadMask
from ...openmmlab.inference import init_inferencer
from ...openmmlab.inspection import inspect_sample, spaced_indices

MOST = 500  # names in the list; of more labels, evenly spaced ones
_numbers = itertools.count()
AS_STORED: dict[str, Any] = dict(reduce_zero_label=False, label_map=None)


@dataclass(frozen=True, eq=False)
class LabelSample:
    """One label map.

    Attributes:
        name: What the page calls it.
        label: Classes or void, uint8 (H, W).
        palette: RGB of each value, uint8 (256, 3).
        image: RGB, uint8 (H, W, 3), or None.
        loss: Cross entropy of every pixel, (H, W), or None.
        number: Of this object alone: what is kept of it is found by it, and does not keep it.
    """

    name: str
    label: np.ndarray
    palette: np.ndarray
    image: np.ndarray | None = None
    loss: np.ndarray | None = None
    number: int = field(default_factory=_numbers.__next__)

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (self.label, self.image, self.loss) if a is not None)


class Source(Protocol):
    """Where samples come from.

    Attributes:
        names: What the list shows.
        palette: RGB of each value, uint8 (256, 3).
        rules: How an uploaded file is read, see :func:`read_label`.
    """

    names: Sequence[str]
    palette: np.ndarray
    rules: Mapping[str, Any]

    def load(self, position: int) -> LabelSample:
        """The sample at a position of ``names``.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is broken.
        """


class ConfigSource:
    """Whole images of a config's training data, without its crops and flips.

    Args:
        cfg: A config; the pipeline of its training data is replaced by that of its test data.
        checkpoint: Of its model, to add the loss of every pixel; None for none.

    Raises:
        FileNotFoundError: Data or checkpoint are missing.
        ValueError: They do not fit the config.
    """

    def __init__(self, cfg: Config, checkpoint: str | None = None) -> None:
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        check_data(cfg, 'train_dataloader')
        self._model = None if checkpoint is None else init_inferencer(cfg, checkpoint).model
        (_, test), *_ = datasets(cfg, 'test_dataloader')
        for _, node in datasets(cfg, 'train_dataloader'):
            node.pipeline = test.pipeline
        self._dataset: Any = DATASETS.build(cfg.train_dataloader.dataset)
        parts = list(base_datasets(self._dataset))
        for part in parts:
            part.pipeline = CheckedPipeline(part)
        first = parts[0]
        self.palette = full_palette(self._dataset.metainfo['palette'])
        self.rules: Mapping[str, Any] = dict(
            value_of_colour=getattr(first, 'value_of_colour', None),
            reduce_zero_label=first.reduce_zero_label,
            label_map=first.label_map,
        )
        self._indices = spaced_indices(len(self._dataset), MOST)
        self.names: Sequence[str] = [
            Path(self._dataset.get_data_info(index)['img_path']).stem for index in self._indices
        ]

    def load(self, position: int) -> LabelSample:
        name, index = self.names[position], self._indices[position]
        if self._model is not None:
            row = inspect_sample(self._model, self._dataset, index)
            label = row.label.astype(np.uint8)
            return LabelSample(name, label, self.palette, row.image, row.loss)
        packed = self._dataset[index]['data_samples']
        label = packed.gt_sem_seg.data[0].numpy().astype(np.uint8)
        image = read_image(packed.img_path)
        return LabelSample(name, label, self.palette, np.ascontiguousarray(image[..., ::-1]))


class FolderSource:
    """Label maps below a folder, with the images of a sibling ``images`` if there are any.

    Colours are those of ``classes.txt``, in the folder or up to two folders above it. The image of
    ``labels/train/a.png`` is ``images/train/a.jpg``, or with another suffix of an image.

    Raises:
        FileNotFoundError: There is no such folder, or no label in it.
        ValueError: ``classes.txt`` does not fit.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(
                f'--labels {folder} does not exist; give a folder of label maps'
            )
        paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in MASK_SUFFIXES)
        if not paths:
            raise FileNotFoundError(
                f'--labels {folder} holds no label map ({", ".join(MASK_SUFFIXES)}); give a folder '
                'of label maps'
            )
        self._paths = [paths[index] for index in spaced_indices(len(paths), MOST)]
        self.names: Sequence[str] = [path.relative_to(folder).as_posix() for path in self._paths]
        classes = classes_near(folder)
        self.palette = full_palette(classes.metainfo['palette'] if classes else ())
        self.rules: Mapping[str, Any] = dict(
            value_of_colour=classes.value_of_colour if classes else None, **AS_STORED
        )

    def load(self, position: int) -> LabelSample:
        path = self._paths[position]
        label = read_label(path, self.rules)
        image_path = image_beside(path)
        image = None
        if image_path is not None:
            image = np.ascontiguousarray(read_image(str(image_path))[..., ::-1])
            check_size(Files(str(image_path), str(path)), image.shape[:2], label.shape)
        return LabelSample(self.names[position], label, self.palette, image)


def read_label(path: Path, rules: Mapping[str, Any]) -> np.ndarray:
    """The label of a mask file, uint8 (H, W).

    Args:
        path: Path of the file.
        rules: ``value_of_colour``, ``reduce_zero_label`` and ``label_map``, as for ``LoadMask``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no mask, or holds values beyond a byte.
    """
    results = dict(rules, seg_map_path=str(path), seg_fields=[])
    return LoadMask().transform(results)['gt_seg_map']


def classes_near(folder: Path) -> Classes | None:
    """The ``classes.txt`` of a folder of labels, or of one of the two folders above it."""
    near = (folder, *folder.resolve().parents[:2])
    found = next((f / 'classes.txt' for f in near if (f / 'classes.txt').is_file()), None)
    return None if found is None else read_classes(found)


def image_beside(label: Path) -> Path | None:
    """The image of a label in ``.../labels/...``: the same name in ``.../images/...``, if any."""
    parts = label.parts
    if 'labels' not in parts:
        return None
    place = len(parts) - 1 - parts[::-1].index('labels')
    image = Path(*parts[:place], 'images', *parts[place + 1 :])
    candidates = (image.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def full_palette(palette: Sequence) -> np.ndarray:
    """A palette, completed by VOC's colours to one for every value of a byte, uint8 (256, 3)."""
    full = voc_colormap()
    full[: len(palette)] = np.array(palette, np.uint8).reshape(-1, 3)
    return full
