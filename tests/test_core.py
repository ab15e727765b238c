"""The loss, the layer and the ops where OpenMMLab is not installed."""

import json
import sys
from importlib.metadata import requires

import pytest
import torch
from packaging.requirements import Requirement

from tests.environments import printed_by

OPENMMLAB = ('mmengine', 'mmcv', 'mmseg')
# A module that is None in sys.modules is not found, as if it were not installed.
WITHOUT = f'import sys; sys.modules.update(dict.fromkeys({OPENMMLAB}))\n'
TO_INSTALL = (
    'needs MMSegmentation, which is not installed; to install it: pip install ".[lite]" in a clone '
    'of mmseg-pacbal, or "FILE.whl[lite]" with its wheel'
)
# code -> how the error that it ends with begins and ends
ERRORS = {
    'from mmseg_pacbal import PACHead': f'ImportError: mmseg_pacbal.PACHead {TO_INSTALL}',
    'import mmseg_pacbal; mmseg_pacbal.config("a.py")': (
        f'ImportError: mmseg_pacbal.config {TO_INSTALL}'
    ),
    'import mmseg_pacbal.openmmlab.heads': f'ImportError: mmseg_pacbal.openmmlab {TO_INSTALL}',
    'from mmseg_pacbal import BoundaryAwareLoss\n'
    'BoundaryAwareLoss(pixel_loss=dict(type="SoftmaxFocalLoss"))': (
        'give a loss, such as SoftmaxFocalLoss(), or install MMSegmentation'
    ),
    'sys.modules["torchmetrics"] = None\nfrom mmseg_pacbal import BoundaryQuality': (
        'to install it: pip install torchmetrics'
    ),
}


def without_openmmlab(code: str, *args: object) -> str:
    """What code prints in a process without OpenMMLab."""
    return printed_by(WITHOUT + code, *args)


def test_it_computes_the_same(tmp_path):
    code = (
        'import torch\n'
        'from mmseg_pacbal import BoundaryAwareLoss, PyramidAtrousConv, boundary_weight_map\n'
        'generator = torch.Generator().manual_seed(0)\n'
        'features = torch.randn(2, 3, 24, 30, generator=generator)\n'
        'label = torch.randint(4, (2, 24, 30), generator=generator)\n'
        'torch.manual_seed(0)\n'
        'logits = PyramidAtrousConv(3, 4, norm=torch.nn.BatchNorm2d)(features)\n'
        'loss = BoundaryAwareLoss(normalize="mean", class_weight=[1, 2, 3, 4])\n'
        'values = logits.detach(), loss(logits, label).detach(), boundary_weight_map(label)\n'
    )
    without_openmmlab(code + 'torch.save(values, sys.argv[1])', tmp_path / 'values.pt')
    names: dict = {}
    exec(code, names)
    torch.testing.assert_close(torch.load(tmp_path / 'values.pt'), names['values'])


@pytest.mark.slow
def test_tests_of_the_core_are_collected():
    rooms = [f'tests/{room}' for room in ('ops', 'losses', 'layers', 'metrics')]
    printed = without_openmmlab(
        'import pytest\n'
        'args = ["--collect-only", "-q", "-p", "no:cacheprovider", "--ignore=tests/ops/triton"]\n'
        'print(int(pytest.main(args + sys.argv[1:])))\n',
        *rooms,
    )
    assert printed.splitlines()[-1] == '0', printed


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


def test_a_tool_says_what_to_install():
    printed = without_openmmlab(
        'from mmseg_pacbal.apps.commands import execute, parse_args\n'
        'sys.stderr = sys.stdout\n'
        'try:\n'
        '    execute("train", parse_args("train", ["a.py"]))\n'
        'except SystemExit as ended:\n'
        '    print(ended.code)\n'
    )
    sentence, _, code = printed.splitlines()
    assert (sentence, code) == (f'error: this tool {TO_INSTALL}', '1')


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
