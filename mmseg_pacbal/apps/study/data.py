"""The data of a study: checked before its first run, and recorded with each."""

import copy
import hashlib
import io
import json
import os
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace

from mmengine.config import Config, ConfigDict
from mmseg.registry import DATASETS, METRICS

from ...configs import datasets, evaluators, heads
from ...openmmlab.completion import LOADERS, infer_settings
from ...openmmlab.data_checks.loaders import check_data
from ...openmmlab.data_checks.samples import base_datasets, sample_of
from .plan import Run


def examine(runs: Iterable[Run]) -> list[Run]:
    """The runs with what they read or its problem; runs that read the same are checked once."""
    found: dict[str, dict] = {}
    examined = []
    for run in runs:
        key = _reads(run.cfg)
        if key not in found:
            try:
                found[key] = dict(data=data_of(run.cfg))
            except Exception as error:  # whatever a data set of the user's raises
                found[key] = dict(problem=error)
        examined.append(replace(run, **found[key]))
    return examined


def data_of(cfg: Config) -> dict[str, dict]:
    """What a run trains and is tested on: of both data sets the number of images and a digest of
    the names and sizes of all files, in the order in which the data set has them.

    Before, all that the run reads is checked as training and test check it, and its test metrics
    are built. FileNotFoundError names what is missing, ValueError what does not fit.
    """
    cfg = copy.deepcopy(cfg)
    with redirect_stdout(io.StringIO()):  # the tools print it into the log of each run
        infer_settings(cfg)
    check_data(cfg, *LOADERS)
    for metric in evaluators(cfg):
        METRICS.build(metric)
    return {name: _summary(cfg[f'{name}_dataloader'].dataset) for name in ('train', 'test')}


def _reads(cfg: Config) -> str:
    """Equal for configs whose data is the same and has to pass the same checks."""
    data = [node for loader in LOADERS for _, node in datasets(cfg, loader)]
    classes = [head.get('num_classes') for _, head in heads(cfg)]
    return json.dumps([data, classes, cfg.test_evaluator], default=str)


def _summary(dataset: ConfigDict) -> dict:
    images, digest = 0, hashlib.sha256()
    for part in base_datasets(DATASETS.build(dataset)):
        for index in range(len(part)):
            files = sample_of(part.get_data_info(index))
            name = os.path.relpath(files.image, part.data_prefix.get('img_path') or '.')
            sizes = [os.path.getsize(path) for path in files if path]
            digest.update(os.fsencode(f'{name} {sizes}\n'))
        images += len(part)
    return dict(images=images, digest=digest.hexdigest()[:16])
