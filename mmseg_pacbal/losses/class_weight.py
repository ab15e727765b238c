"""A factor for each class, as every loss of this package takes it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

WORDS = (
    'None, or one finite number, 0 or more, for each class, as a list or as the name of a file '
    '(npy, json, yaml)'
)


def as_class_weight(class_weight: Sequence[float] | Tensor | str | None) -> Tensor | None:
    """A class_weight as a tensor, (C,), float32; the name of a file is replaced by its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: class_weight is not a finite number, 0 or more, for each class.
    """
    if class_weight is None:
        return None
    refuse_pickle(class_weight)
    try:
        values = _read(class_weight) if isinstance(class_weight, str) else class_weight
        weight = torch.as_tensor(values, dtype=torch.float32)
        accepted = weight.dim() == 1 and weight.isfinite().all() and (weight >= 0).all()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'class_weight must be {WORDS}, but there is no file {class_weight!r}'
        ) from error
    except (TypeError, ValueError, RuntimeError):
        accepted = False
    if not accepted:
        raise ValueError(f'class_weight must be {WORDS}, but got {class_weight!r}')
    return weight


def check_class_weight(weight: Tensor | None, num_classes: int) -> None:
    """Raise ValueError unless a class_weight, (C,), has an entry for each class."""
    if weight is not None and len(weight) != num_classes:
        raise ValueError(
            f'class_weight has {len(weight)} entries, but logits has {num_classes} channels; '
            'give one for each class'
        )


def _read(name: str) -> object:
    path = Path(name)
    match path.suffix:
        case '.npy':
            return np.load(path, allow_pickle=False)
        case '.json':
            return json.loads(path.read_text())
        case '.yaml' | '.yml':
            import yaml  # not one of the packages that torch brings

            return yaml.safe_load(path.read_text())
    raise ValueError(f'no reader for {path.suffix}')


def refuse_pickle(name: object) -> None:
    """Raise ValueError if a class_weight names a pickle: reading one could run code."""
    if isinstance(name, str) and Path(name).suffix in ('.pkl', '.pickle'):
        raise ValueError(
            f'class_weight must be {WORDS}, but got {name!r}: reading a pickle could run code, so '
            'store the weights with numpy.save or as JSON'
        )
