"""Checks that a checkpoint belongs to a model, before its weights are loaded."""

from pathlib import Path

from mmengine.model import BaseModule, PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

# Of older norms; of trainings with another normalize of BoundaryAwareLoss.
OPTIONAL = ('num_batches_tracked', '.running.sums ')


def check_checkpoint(
    model: nn.Module, path: str | Path, *, resume: bool = False
) -> tuple[dict, dict]:
    """The weights and the ``meta`` of a checkpoint that has exactly the model's weights, by name
    and size, and finite ones; with ``resume``, also the state of training.
    """
    checkpoint, weights = _read(path)
    absent = [name for name in ('meta', 'optimizer', 'message_hub') if name not in checkpoint]
    if resume and absent:
        raise ValueError(
            f'checkpoint {path} has no {", ".join(absent)}, so training cannot continue from it; '
            'to start a new run from its weights, set load_from=... and do not resume'
        )
    problems = _misfits(model, weights)
    if problems:
        raise ValueError(
            f'checkpoint {path} does not belong to this config: {_first(problems)}; give the '
            'config that it was trained with, or another checkpoint'
        )
    _check_finite(model, weights, path)
    meta = checkpoint.get('meta')
    return weights, meta if isinstance(meta, dict) else {}


def load_weights(model: nn.Module, path: str | Path) -> dict:
    """Load weights that pass :func:`check_checkpoint`; the result is the checkpoint's ``meta``."""
    weights, meta = check_checkpoint(model, path)
    model.load_state_dict(weights, strict=False)  # old norms do not count batches
    return meta


def check_initial_weights(model: nn.Module, load_from: str | None) -> None:
    """Check that the local checkpoints from which a model starts have at least one weight for it.

    They are the config's ``load_from`` and those in ``init_cfg`` of the model's parts, to which
    ``pretrained`` of a config is converted. A head for other classes may differ: mmengine loads
    the weights that fit and logs the others.
    """
    starts = [(model, 'load_from', dict(checkpoint=load_from))] if load_from else []
    for name, module in model.named_modules():
        given = getattr(module, 'init_cfg', None)
        inits = given if isinstance(given, list) else [given]
        pretrained = ('Pretrained', PretrainedInit)
        starts += [(module, name, i) for i in inits if i and i['type'] in pretrained]
    for module, name, init in starts:
        path, prefix = init['checkpoint'], init.get('prefix') or ''
        if '://' in str(path):
            continue
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'{name or "the model"} starts from {path}, but there is no such file; set the '
                'path of its weights (pacbal convert-lite0 makes those of configs/*_lite0.py)'
            )
        converts = getattr(type(module), 'init_weights', None) is not BaseModule.init_weights
        if converts and name != 'load_from':
            continue  # backbones that convert names load their weights themselves
        _, weights = _read(path)
        prefix = prefix and f'{prefix.rstrip(".")}.'
        weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        if not any(_shape(weights.get(k)) == v.shape for k, v in module.state_dict().items()):
            raise ValueError(
                f'no weight in {path} fits {name}: {_first(_misfits(module, weights))}; give '
                'weights of the same model'
            )
        _check_finite(module, weights, path)


def _read(path: str | Path) -> tuple[dict, dict[str, object]]:
    """A checkpoint and the weights in it."""
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f'checkpoint {path} holds no weights; give one written by training')
    return checkpoint, {name.removeprefix('module.'): value for name, value in state.items()}


def _misfits(model: nn.Module, weights: dict[str, object]) -> list[str]:
    problems = [f'{name} is unknown' for name in weights.keys() - model.state_dict().keys()]
    for name, value in model.state_dict().items():
        if name not in weights:
            problems.append(f'{name} is missing')
        elif _shape(weights[name]) != value.shape:
            problems.append(f'{name} is {_shape(weights[name])} instead of {tuple(value.shape)}')
    return [p for p in sorted(problems) if not any(name in p for name in OPTIONAL)]


def _shape(value: object) -> tuple | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _check_finite(model: nn.Module, weights: dict[str, object], path: str | Path) -> None:
    """Buffers that are infinite in the model too, such as a mask of attention, are left alone."""
    wrong = [
        name
        for name, weight in model.state_dict().items()
        if isinstance(value := weights.get(name), Tensor)
        if not value.isfinite().all() and weight.isfinite().all()
    ]
    if wrong:
        raise ValueError(
            f'checkpoint {path} holds numbers that are not finite: {_first(wrong)}; the training '
            'that wrote it diverged, so give an earlier checkpoint'
        )


def _first(problems: list[str]) -> str:
    more = f'; and {len(problems) - 3} more' if len(problems) > 3 else ''
    return '; '.join(problems[:3]) + more
