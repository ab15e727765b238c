"""The versions that are installed, those that are accepted, and a clear error where they differ.

OpenMMLab is not imported here, so that the versions are checked before it can fail on them.
"""

import importlib.util
from importlib import metadata
from typing import NoReturn

# mmcv is published as source only; building it needs pkg_resources and the torch it is built for.
FULL_MMCV = 'pip install "setuptools<82" wheel && pip install --no-build-isolation "mmcv==2.1.0"'
LITE_MMCV = f'pip install "mmcv-lite==2.1.0" (for the compiled ops, instead: {FULL_MMCV})'
MMSEG = ('mmsegmentation', 'onedl-mmsegmentation')
MMENGINE = ('mmengine', 'mmengine-lite', 'onedl-mmengine')
# module: distributions that provide it, what installs one
NEEDS = {
    'torch': (('torch',), 'pip install "torch>=2.4"'),
    'mmengine': (MMENGINE, 'pip install "mmengine==0.10.7"'),
    'mmcv': (('mmcv', 'mmcv-lite', 'mmcv-full', 'onedl-mmcv'), LITE_MMCV),
    'mmseg': (MMSEG, 'pip install "mmsegmentation==1.2.2"'),
    'ftfy': (('ftfy',), 'pip install ftfy regex'),
    'regex': (('regex',), 'pip install ftfy regex'),
}


class UnsupportedStackError(ImportError):
    """The installed versions do not work together; the message says what to do."""


def version(name: str) -> str | None:
    """The version of a distribution, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_versions() -> dict[str, str | None]:
    """The version of every distribution that matters, None if it is not installed.

    The names of a module that can be imported without a distribution known here (a source tree on
    the path, a renamed build) are left out: there is no version to check.
    """
    versions: dict[str, str | None] = {}
    for module, (names, _) in NEEDS.items():
        found = {name: version(name) for name in names}
        # A folder that an uninstall left behind has a spec, but no origin.
        if any(found.values()) or getattr(importlib.util.find_spec(module), 'origin', None) is None:
            versions.update(found)
    return versions


def declared_versions() -> dict[str, str]:
    """Distribution name -> specifiers that the metadata of the installed project accepts.

    Empty for a source tree that was never installed.
    """
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires('mmseg-pacbal') or []
    except metadata.PackageNotFoundError:
        return {}
    specifiers = {r.name: r.specifier for r in map(Requirement, lines)}
    return {name: ','.join(sorted(map(str, s), reverse=True)) for name, s in specifiers.items()}


def check_versions(installed: dict[str, str | None], declared: dict[str, str]) -> None:
    """Refuse a stack that cannot work, before it fails with a less clear message.

    pip resolves what is declared, but mmcv cannot be declared: `mmcv` and `mmcv-lite` are the same
    module, and mmsegmentation declares neither. Also, a later `pip install` may replace versions
    that pip had resolved. What is absent from ``installed`` is not checked.
    """
    from packaging.specifiers import SpecifierSet

    stock = installed.get('mmsegmentation')
    for module, (names, command) in NEEDS.items():
        present = [name for name in names if installed.get(name)]
        if not present and any(name in installed for name in names):
            wanted = names[0] + declared.get(names[0], '')
            _refuse(f'{names[0]} is not installed', wanted, command)
        # mmengine-lite is mmengine with fewer requirements, and mmcv-lite pulls in mmengine.
        if len(present) > 1 and module != 'mmengine':
            found = ' and '.join(f'{name} {installed[name]}' for name in present)
            command = f'pip uninstall -y {" ".join(present)} && {command}'
            _refuse(f'{found} overwrite each other', f'one of them as {module}', command)
        for name in present:
            wanted = name if name in declared else names[0]
            wanted += declared.get(wanted, '')
            accepted = SpecifierSet(declared.get(name, declared.get(names[0], '')))
            # The fork numbers its versions differently, and brings an mmcv that suits it.
            own = name.startswith('onedl-') if module != 'mmcv' else not stock
            if own or accepted.contains(str(installed[name]), prereleases=True):
                continue
            found = f'{name} {installed[name]} is installed'
            if module == 'mmcv':
                found += f' with mmsegmentation {stock}'
                command = f'pip uninstall -y {name} && {command}'
            _refuse(found, wanted, command)


def _refuse(found: str, accepted: str, command: str) -> NoReturn:
    raise UnsupportedStackError(f'{found}, but mmseg-pacbal needs {accepted}; to fix it: {command}')
