"""What type checkers say of a user's code."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.environments import ROOT

# mypy is not among what the README's commands install.
absent = importlib.util.find_spec('mypy') is None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(absent, reason='mypy is not installed')]
GOOD = """
import torch
from torch import Tensor, nn

from mmseg_pacbal import (
    BoundaryAwareLoss,
    BoundaryQuality,
    PyramidAtrousConv,
    boundary_weight_map,
    pyramid_atrous_conv2d,
)
from mmseg_pacbal.losses import SoftmaxFocalLoss


class Head(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.pac = nn.Sequential(
            PyramidAtrousConv(
                64, 64, rates=[1, 3, 5], norm=nn.BatchNorm2d, activation=nn.ReLU(inplace=True)
            ),
            PyramidAtrousConv(64, 32, norm=lambda channels: nn.GroupNorm(8, channels)),
        )
        self.classify = nn.Conv2d(32, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classify(self.pac(x))
        return y


loss = BoundaryAwareLoss(normalize='mean', class_weight=[1.0, 2.0])
label = torch.zeros(1, 8, 8, dtype=torch.long)
weight: Tensor = loss.weight_map(label)
focal = BoundaryAwareLoss(pixel_loss=SoftmaxFocalLoss(gamma=1), ignore_index=0)
value: Tensor = loss(Head(2)(torch.zeros(1, 64, 8, 8)), label, boundary_weight=weight)
edges: Tensor = boundary_weight_map(label, kernel_size=5)
x: Tensor = pyramid_atrous_conv2d(torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3, 3), (1, 3))
quality = BoundaryQuality(num_classes=2, widths=[4, 8], ignore_index=None, sync_on_compute=False)
quality.update(label, label)
scores: dict[str, Tensor] = quality.compute()
score: float = scores['mBF1'].item()
"""
BAD = {
    "BoundaryAwareLoss(kernel_size='35')": '"kernel_size"',
    'BoundaryAwareLoss(kernal_size=35)': '"kernal_size"',
    'PyramidAtrousConv(64, 32, rate=(1, 3))': '"rate"',
    'PyramidAtrousConv(64, 32, norm=dict(type="BN"))': '"norm"',
    'boundary_weight_map(None)': '"boundary_weight_map"',
    "BoundaryQuality(num_classes='2')": '"num_classes"',
}


def test_good_code_passes_strictly_and_wrong_arguments_are_found(tmp_path):
    """One run, since reading torch takes mypy most of the time."""
    (tmp_path / 'good.py').write_text(GOOD)
    names = 'from mmseg_pacbal import *; from mmseg_pacbal import BoundaryQuality\n'
    (tmp_path / 'bad.py').write_text(names + '\n'.join(BAD))
    command = [sys.executable, '-m', 'mypy', '--strict', '--config-file', '', 'good.py', 'bad.py']
    # mypy does not see what an editable install puts on the path; our own files are checked apart.
    command += ['--follow-imports', 'silent']
    environment = {**os.environ, 'MYPYPATH': str(ROOT)}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    said = result.stdout.splitlines()
    assert said[-1].endswith('in 1 file (checked 2 source files)'), result.stdout + result.stderr
    for line, expected in enumerate(BAD.values(), start=2):
        assert any(
            text.startswith(f'bad.py:{line}: error') and expected in text for text in said
        ), (expected, result.stdout)
