"""What is public: the comparison with an older commit, and the names in docs/public_api.md."""

import re
import runpy

import pytest

from mmseg_pacbal import BoundaryAwareLoss, boundary_weight_map, losses
from mmseg_pacbal.ops.boundary_weight import KERNELS
from tests.environments import ROOT

PAGE = (ROOT / 'docs' / 'public_api.md').read_text()


def write(root, files: dict[str, str]):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


BEFORE = {
    'mmseg_pacbal/__init__.py': "from .ops import f\n__all__ = ['f']\n",
    'mmseg_pacbal/ops/__init__.py': "from .f import f, g\n__all__ = ['f', 'g']\n",
    'mmseg_pacbal/ops/f.py': 'def f(a, b=1): ...\ndef g(): ...\ndef helper(): ...\n',
    'mmseg_pacbal/apps/doctor.py': "X = 'MMSEG_PACBAL_X'\n__all__ = ['X']\n",
    'tools/train.py': "p.add_argument('config')\np.add_argument(\n    '--out'\n)\n",
    'configs/a.py': '',
    'configs/_base_/b.py': '',
    'configs/studies/c.yml': '',
}
AFTER = {
    # The same names from another module, a further argument, more options and a config: no loss.
    'moved': {
        'mmseg_pacbal/ops/__init__.py': "from .h import f, g\n__all__ = ['f', 'g', 'k']\nk = 1\n",
        'mmseg_pacbal/ops/h.py': 'def f(a, b=1, *, c=2): ...\ndef g(): ...\n',
        'mmseg_pacbal/ops/f.py': None,
        'tools/train.py': "p.add_argument('--out')\np.add_argument('--more')\n",
        'configs/d.py': '',
        'configs/_base_/b.py': None,
    },
    'lost': {
        'mmseg_pacbal/ops/__init__.py': "from .f import f\n__all__ = ['f']\n",
        'mmseg_pacbal/ops/f.py': 'def f(a, b=3): ...\n',
        'mmseg_pacbal/apps/doctor.py': None,
        'tools/train.py': "p.add_argument('--output')\n",
        'configs/a.py': None,
        'configs/studies/c.yml': None,
    },
}
LOST = [
    'config a.py: gone',
    'config c.yml: gone',
    'environment variable MMSEG_PACBAL_X: gone',
    'mmseg_pacbal.ops: mmseg_pacbal/ops/__init__.py:1: g: Public object was removed',
    'mmseg_pacbal.ops: mmseg_pacbal/ops/f.py:1: f(b): Parameter default was changed: 1 -> 3',
    'mmseg_pacbal: mmseg_pacbal/ops/f.py:1: f(b): Parameter default was changed: 1 -> 3',
    'option --out: gone',
]


def test_every_loss_is_registered_and_documented():
    from mmseg.registry import MODELS

    reference, adding = (
        (ROOT / 'docs' / p).read_text() for p in ('api/core.md', 'add_the_loss.md')
    )
    for name in losses.__all__:
        assert name == 'PixelLoss' or name in adding
        assert f'{name}`' in PAGE
        assert f'::: mmseg_pacbal.losses.{name}\n' in reference
        if name != 'PixelLoss':  # the contract of all
            assert MODELS.get(name) is getattr(losses, name)


def test_every_kernel_is_documented():
    choose = (ROOT / 'docs' / 'choose_weights.md').read_text()
    for text in (BoundaryAwareLoss.__doc__, boundary_weight_map.__doc__, choose):
        for kernel in KERNELS:
            assert f"`'{kernel}'`" in text


@pytest.mark.parametrize('change, lost', [('moved', []), ('lost', LOST)])
def test_what_users_would_miss_is_named(tmp_path, change, lost):
    pytest.importorskip('griffe', reason='needs mmseg-pacbal[docs]')
    changes = runpy.run_path(str(ROOT / '.ci' / 'check_api.py'))['changes']
    after = {k: v for k, v in {**BEFORE, **AFTER[change]}.items() if v is not None}
    old, new = write(tmp_path / 'old', BEFORE), write(tmp_path / 'new', after)
    assert changes(old, new) == lost


def test_names_for_configs_are_registered():
    pytest.importorskip('mmseg')
    import mmengine.registry
    import mmseg.registry

    import mmseg_pacbal  # noqa: F401 registers

    lines = re.findall(r'^- `([A-Z_]+)`: (.*)$', PAGE, re.MULTILINE)
    assert len(lines) >= 9
    for variable, names in lines:
        registry = getattr(mmseg.registry, variable, None) or getattr(mmengine.registry, variable)
        for name in re.findall(r'`(\w+)`', names):
            assert registry.get(name) is not None, name
