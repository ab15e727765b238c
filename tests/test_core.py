"""The loss, the layer and the ops where OpenMMLab is not installed."""

import json
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
TO_INSTALL = (
    'needs MMSegmentation, which is not installed; to install it: pip install "mmseg-pacbal[lite]"'
)
# code -> how the error that it ends with begins and ends
ERRORS = {
    'from mmseg_pacbal import PACHead': f'ImportError: mmseg_pacbal.PACHead {TO_INSTALL}',
    'import mmseg_pacbal; mmseg_pacbal.config("a.py")': (
        f'ImportError: mmseg_pacbal.config {TO_INSTALL}'
    ),
    'import mmseg_pacbal.openmmlab.heads': f'ImportError: mmseg_pacbal.openmmlab {TO_INSTALL}',
    'import mmseg_pacbal.doctor': f'ImportError: this tool {TO_INSTALL}',
    'from mmseg_pacbal import BoundaryAwareLoss\n'
    'BoundaryAwareLoss(pixel_loss=dict(type="SoftmaxFocalLoss"))': (
        'give a loss, such as SoftmaxFocalLoss(), or install mmseg-pacbal[lite]'
    ),
    'sys.modules["torchmetrics"] = None\nfrom mmseg_pacbal import BoundaryQuality': (
        'to install it: pip install torchmetrics'
    ),
    **{
        f'import runpy; runpy.run_path({str(path)!r})': f'ImportError: this tool {TO_INSTALL}'
        for path in sorted((ROOT / 'tools').glob('*.py'))
    },
}


def without_openmmlab(code: str, *args: object) -> str:
    """What code prints in a process without OpenMMLab."""
    command = [sys.executable, '-c', WITHOUT + code, *map(str, args)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_is_the_same_loss(tmp_path):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 24, 30, generator=generator)
    label = torch.randint(4, (2, 24, 30), generator=generator)
    torch.save((logits, label), tmp_path / 'case.pt')
    without_openmmlab(
        'import torch\n'
        'from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map\n'
        'logits, label = torch.load(sys.argv[1] + "/case.pt")\n'
        'loss = BoundaryAwareLoss(normalize="mean", class_weight=[1, 2, 3, 4])\n'
        'values = loss(logits, label), boundary_weight_map(label)\n'
        'torch.save(values, sys.argv[1] + "/values.pt")\n',
        tmp_path,
    )
    value, weight = torch.load(tmp_path / 'values.pt')
    loss = BoundaryAwareLoss(normalize='mean', class_weight=[1, 2, 3, 4])
    torch.testing.assert_close(value, loss(logits, label))
    torch.testing.assert_close(weight, boundary_weight_map(label))


def test_it_trains_the_layer():
    printed = without_openmmlab(
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
    first, last = map(float, printed.split())
    assert last < 0.7 * first


@pytest.fixture(scope='module')
def told() -> list[str]:
    """The last line of each of ERRORS; all are raised in one process."""
    printed = without_openmmlab(
        'import json, traceback\n'
        'for code in json.loads(sys.argv[1]):\n'
        '    try:\n'
        '        exec(code)\n'
        '        print("no error")\n'
        '    except Exception as error:\n'
        '        print(traceback.format_exception_only(error)[-1].strip())\n',
        json.dumps([*ERRORS]),
    )
    return printed.splitlines()


@pytest.mark.parametrize('code', ERRORS)
def test_error_says_what_to_install(code, told):
    assert len(told) == len(ERRORS)
    message = told[[*ERRORS].index(code)]
    assert message.endswith(ERRORS[code])
    assert 'Error: ' in message


def test_importing_it_brings_little_beyond_torch():
    code = 'print(*sys.modules)'
    plain = without_openmmlab(f'import torch, numpy\n{code}').split()
    core = without_openmmlab(f'import mmseg_pacbal\n{code}').split()
    # Modules of torch and NumPy count too: some take as long to import as all the rest.
    new = {name.partition('.')[0] for name in set(core) - set(plain)}
    assert new - set(sys.stdlib_module_names) == {'mmseg_pacbal'}


def test_it_requires_three_packages():
    required = {r.name for r in map(Requirement, requires('mmseg-pacbal')) if r.marker is None}
    assert required == {'torch', 'numpy', 'opencv-python-headless'}


def test_the_metric_is_imported_when_it_is_asked_for():
    printed = without_openmmlab(
        'import torch, mmseg_pacbal\n'
        'print(*dir(mmseg_pacbal), "torchmetrics" in sys.modules)\n'
        'metric = mmseg_pacbal.BoundaryQuality(num_classes=2)\n'
        'label = torch.arange(64).view(1, 8, 8) // 32\n'
        'metric.update(label, label)\n'
        'print(*(value.item() for value in metric.compute().values()))\n'
    )
    listed, scores = printed.splitlines()
    *names, imported = listed.split()
    assert imported == 'False'
    core = {'BoundaryAwareLoss', 'PyramidAtrousConv', 'boundary_weight_map', 'BoundaryQuality'}
    assert core <= {*names}
    assert 'PACHead' not in names
    assert set(scores.split()) == {'1.0'}
