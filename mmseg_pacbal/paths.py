"""Where the shipped configs lie, and how configs of others inherit them."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the configs inside the package, as MMSegmentation's does; a checkout beside it.
_CONFIG_ROOTS = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')


def config(name: str) -> str:
    """Absolute path of a shipped config, for ``_base_`` of one's own.

    mmengine evaluates ``_base_`` with builtins only, so a config inherits with
    ``_base_ = __import__('mmseg_pacbal').config('pac_bal_voc.py')``, or, where the package was
    imported before parsing, with ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'``.

    Args:
        name: Path below ``configs``, ``'pac_bal_voc.py'`` for example.

    Raises:
        FileNotFoundError: There is no such config; the message lists those there are.
    """
    root = next(root for root in _CONFIG_ROOTS if root.is_dir())
    if not (root / name).is_file():
        listed = ', '.join(sorted(path.name for path in root.glob('*.py')))
        raise FileNotFoundError(
            f'no config {name!r} is shipped; there are {listed} and those in ablation/'
        )
    return str(root / name)


def register_scheme() -> None:
    """Let ``_base_ = 'mmseg_pacbal::pac_bal_voc.py'`` name a shipped config.

    mmengine knows this form for the packages in a table of its own. An entry there would not do:
    it asks for a folder in the name, for a distribution whose files lie in site-packages (those of
    an editable install do not), and for a registry of the package's name.
    """
    from mmengine.config import Config

    resolve = Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        package, _, name = cfg_path.partition('::')
        return (config(name), None) if package == 'mmseg_pacbal' else resolve(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
