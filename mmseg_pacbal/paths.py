"""Where the shipped configs lie."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package, as MMSegmentation's does; a checkout beside it.
_CONFIG_ROOTS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')


def config(name: str) -> str:
    """Absolute path of a shipped config, for ``_base_`` of one's own.

    mmengine evaluates ``_base_`` with builtins only, so a config inherits with
    ``_base_ = __import__('mmseg_pacbal').config('pac_bal_voc.py')``.

    Args:
        name: Path below ``configs``, ``'pac_bal_voc.py'`` for example.

    Raises:
        FileNotFoundError: There is no such config; the message lists those there are.
    """
    root = next(root for root in _CONFIG_ROOTS if root.is_dir())
    if not (root / name).is_file():
        shipped = sorted(p.relative_to(root).as_posix() for p in root.rglob('*.py'))
        listed = ', '.join(p for p in shipped if not p.startswith('_base_/'))
        raise FileNotFoundError(f'no config {name!r} is shipped; there are {listed}')
    return str(root / name)
