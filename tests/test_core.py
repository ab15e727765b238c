"""The loss, the layer and the ops where OpenMMLab is not installed."""

import subprocess
import sys
from importlib.metadata import requires

import pytest
import torch
from packaging.requirements import Requirement

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map
from tests.environments import ROOT

OPENMMLAB = ('mmengine', 'mmcv', 'mmseg')
# A module that is None in sys.modules is not found, as if it were not installed.
WITHOUT = f'import sys; sys.modules.update(dict.fromkeys({OPENMMLAB}))\n'


def run_without_openmmlab(code: str, *args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', WITHOUT + code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_it_is_the_same_loss(tmp_path):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 24, 30, generator=generator)
    label = torch.randint(4, (2, 24, 30), generator=generator)
    torch.save((logits, label), tmp_path / 'case.pt')
    result = run_without_openmmlab(
        'import torch\n'
        'from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map\n'
        'logits, label = torch.load(sys.argv[1] + "/case.pt")\n'
        'loss = BoundaryAwareLoss(normalize="mean", class_weight=[1, 2, 3, 4])\n'
        'values = loss(logits, label), boundary_weight_map(label)\n'
        'torch.save(values, sys.argv[1] + "/values.pt")\n',
        tmp_path,
    )
    assert result.returncode == 0, result.stderr
    value, weight = torch.load(tmp_path / 'values.pt')
    loss = BoundaryAwareLoss(normalize='mean', class_weight=[1, 2, 3, 4])
    torch.testing.assert_close(value, loss(logits, label))
    torch.testing.assert_close(weight, boundary_weight_map(label))


def test_it_trains_the_layer():
    result = run_without_openmmlab(
        'import torch\n'
        'from torch import nn\n'
        'from mmseg_pacbal import BoundaryAwareLoss, PyramidAtrousConv\n'
        'torch.manual_seed(0)\n'
        'model = nn.Sequential(PyramidAtrousConv(3, 8, norm=nn.BatchNorm2d), nn.Conv2d(8, 2, 1))\n'
        'optimizer = torch.optim.SGD(model.parameters(), 0.1)\n'
        'image = torch.randn(2, 3, 16, 16)\n'
        'label = (image[:, 0] > 0).long()\n'
        'loss, values = BoundaryAwareLoss(normalize="mean"), []\n'
        'for _ in range(20):\n'
        '    values.append(loss(model(image), label))\n'
        '    optimizer.zero_grad(); values[-1].backward(); optimizer.step()\n'
        'print(values[0].item(), values[-1].item())\n'
    )
    assert result.returncode == 0, result.stderr
    first, last = map(float, result.stdout.split())
    assert last < 0.7 * first


@pytest.mark.parametrize(
    ('code', 'what'),
    [
        ('from mmseg_pacbal import PACHead', 'mmseg_pacbal.PACHead'),
        ('import mmseg_pacbal; mmseg_pacbal.config("pac_bal_voc.py")', 'mmseg_pacbal.config'),
        ('import mmseg_pacbal.openmmlab.heads', 'mmseg_pacbal.openmmlab'),
        ('import mmseg_pacbal.doctor', 'this tool'),
    ],
)
def test_error_says_what_to_install(code, what):
    result = run_without_openmmlab(code)
    assert result.returncode == 1
    *_, last = result.stderr.strip().splitlines()
    assert last == (
        f'ImportError: {what} needs MMSegmentation, which is not installed; to install it: '
        'pip install "mmseg-pacbal[lite]"'
    )


def test_config_of_a_pixel_loss_needs_mmsegmentation():
    result = run_without_openmmlab(
        'from mmseg_pacbal import BoundaryAwareLoss\n'
        'BoundaryAwareLoss(pixel_loss=dict(type="SoftmaxFocalLoss"))\n'
    )
    assert 'give a loss, such as SoftmaxFocalLoss(), or install mmseg-pacbal[lite]' in result.stderr


def test_importing_it_brings_little_beyond_torch():
    code = 'print(*sys.modules)'
    plain = run_without_openmmlab(f'import torch, numpy\n{code}').stdout.split()
    core = run_without_openmmlab(f'import mmseg_pacbal\n{code}').stdout.split()
    # Modules of torch and NumPy count too: some take as long to import as all the rest.
    new = {name.partition('.')[0] for name in set(core) - set(plain)}
    assert new - set(sys.stdlib_module_names) == {'mmseg_pacbal'}


def test_it_requires_three_packages():
    required = {r.name for r in map(Requirement, requires('mmseg-pacbal')) if r.marker is None}
    assert required == {'torch', 'numpy', 'opencv-python-headless'}


def test_the_metric_is_imported_when_it_is_asked_for():
    result = run_without_openmmlab(
        'import torch, mmseg_pacbal\n'
        'assert "torchmetrics" not in sys.modules\n'
        'metric = mmseg_pacbal.BoundaryQuality(num_classes=2)\n'
        'label = torch.arange(64).view(1, 8, 8) // 32\n'
        'metric.update(label, label)\n'
        'print(*(value.item() for value in metric.compute().values()))\n'
    )
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == {'1.0'}


def test_the_metric_is_listed_without_being_imported():
    result = run_without_openmmlab(
        'import mmseg_pacbal; print(*dir(mmseg_pacbal), "torchmetrics" in sys.modules)\n'
    )
    *names, imported = result.stdout.split()
    assert imported == 'False'
    core = {'BoundaryAwareLoss', 'PyramidAtrousConv', 'boundary_weight_map', 'BoundaryQuality'}
    assert core <= {*names}
    assert 'PACHead' not in names


def test_error_says_that_the_metric_needs_torchmetrics():
    result = run_without_openmmlab(
        'sys.modules["torchmetrics"] = None\nfrom mmseg_pacbal import BoundaryQuality\n'
    )
    assert result.stderr.strip().endswith('to install it: pip install torchmetrics')


@pytest.mark.parametrize('tool', sorted((ROOT / 'tools').glob('*.py')), ids=lambda path: path.stem)
def test_error_of_a_tool_says_what_to_install(tool):
    result = run_without_openmmlab('import runpy; runpy.run_path(sys.argv[1])', tool)
    assert 'this tool needs MMSegmentation, which is not installed' in result.stderr
