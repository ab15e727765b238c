"""A factor for each class, as every loss takes it; from files that cannot run anything."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..ops.arguments import Accepted


def _is_class_weight(values: object) -> bool:
    try:
        weight = torch.as_tensor(values, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        return False
    return weight.dim() == 1 and bool((weight.isfinite() & (weight >= 0)).all())


CLASS_WEIGHT = Accepted(
    'None, or one finite number, 0 or more, for each class, as a list or as the name of a file '
    '(npy, json, yaml)',
    lambda value: value is None or _is_class_weight(value),
)


def read_class_weight(name: str) -> Any:
    """What a file holds; FileNotFoundError or ValueError if it does not exist or could run code."""
    must = f'class_weight must be {CLASS_WEIGHT.words}, but '
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f'{must}there is no file {name!r}')
    try:
        if path.suffix == '.npy':
            return np.load(path, allow_pickle=False)
        if path.suffix == '.json':
            return json.loads(path.read_text())
        if path.suffix in ('.yaml', '.yml'):
            import yaml  # not one of the packages that torch brings

            return yaml.safe_load(path.read_text())
        why = 'reading a pickle could run code'
    except Exception as error:
        why = f'{type(error).__name__}: {error}'
    raise ValueError(f'{must}got {name!r} ({why}); store the weights with numpy.save or as JSON')


def times_class_weight(
    loss: Tensor, class_weight: Tensor | None, label: Tensor, ignore_index: int
) -> Tensor:
    """A loss of every pixel, (N, H, W), times the weight of the pixel's class."""
    if class_weight is None:
        return loss
    return loss * class_weight.to(loss)[label.where(label != ignore_index, 0)]
