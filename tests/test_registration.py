"""In whichever order packages are imported, what configs name is registered in time."""

import pytest

from tests.environments import printed_by

ORDERS = [
    'import mmseg_pacbal; import mmengine',
    'import mmseg_pacbal; import mmcv',
    'import mmseg_pacbal; from mmseg.registry import MODELS',
    'import importlib.util, mmseg_pacbal; importlib.util.find_spec("mmengine"); import mmseg',
    'from mmseg_pacbal import BoundaryAwareLoss; import mmseg',
    'import mmseg_pacbal.openmmlab.heads',
    'from mmseg_pacbal.configs import load_config; load_config("configs/pac_bal_demo.py")',
    'import mmengine, mmseg_pacbal',
]
REGISTERED = """
import sys
assert not any(type(finder).__name__ == '_FirstImport' for finder in sys.meta_path)
from mmseg_pacbal import compat, openmmlab
from mmengine.config import Config
from mmseg.registry import MODELS
assert 'checkpoints' in compat.fixed
assert MODELS.get('PACHead').__module__ == 'mmseg_pacbal.openmmlab.heads.pac_head'
assert Config._get_cfg_path('mmseg_pacbal::pac_bal_demo.py', '')[0].endswith('pac_bal_demo.py')
"""


@pytest.mark.parametrize(
    'order', [pytest.param(o, marks=[pytest.mark.slow] if i else []) for i, o in enumerate(ORDERS)]
)
def test_is_registered_with_the_first_import(order):
    printed_by(order + REGISTERED)


@pytest.mark.slow
def test_config_of_a_pixel_loss_needs_no_other_import():
    printed_by(
        'from mmseg_pacbal import BoundaryAwareLoss\n'
        "loss = BoundaryAwareLoss(pixel_loss=dict(type='CrossEntropyLoss'))\n"
        'from mmseg.models.losses import CrossEntropyLoss\n'
        'assert isinstance(loss.pixel_loss, CrossEntropyLoss)\n'
    )


def test_names_need_no_more_than_they_use():
    printed_by(
        'import sys, mmseg_pacbal\n'
        'assert not {"torch", "mmengine", "numpy"} & {*sys.modules}\n'
        'mmseg_pacbal.BoundaryAwareLoss, mmseg_pacbal.ops\n'
        'assert "torch" in sys.modules and "mmengine" not in sys.modules\n'
        'try:\n'
        '    mmseg_pacbal.nothing\n'
        'except AttributeError as error:\n'
        "    assert str(error) == \"module 'mmseg_pacbal' has no attribute 'nothing'\"\n"
        'else:\n'
        '    raise SystemExit(1)\n'
    )
