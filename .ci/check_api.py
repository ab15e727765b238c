"""What a change takes from users: python .ci/check_api.py [--against REF]

Compares with an older commit: names and arguments that modules export (by Griffe), shipped
configs, options of tools and environment variables. Ends with 1 if anything that
was there is gone or has changed; docs/public_api.md says how to deprecate it instead.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
BASE = '3b8d24c'  # 1.0.0rc1; from 1.0.0 on the tag of the newest release
# What is public beside Python's names: kind -> files, and how they name it
PATTERNS = {
    'option': ('[mt]*/**/*.py', r'add_argument\(\s*\'(--?[\w-]+)\''),
    'environment variable': ('[mt]*/**/*.py', r'MMSEG_PACBAL_[A-Z_]+'),
}


def unpack(commit: str, folder: Path) -> None:
    """Write the package, tools and configs of a commit to a folder."""
    command = ['git', 'archive', commit, 'mmseg_pacbal', 'tools', 'configs']
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter='data')


def public_modules(package: griffe.Module) -> Iterator[griffe.Module]:
    """The package and those of its modules that say what they export; tools' own are left out."""
    if package.exports is not None:
        yield package
    for name, module in package.modules.items():
        if name != 'apps' and not module.is_alias:
            yield from public_modules(module)


def load(root: Path) -> dict[str, griffe.Module]:
    """Path -> public module, of which only what it exports is left."""
    package = griffe.load(
        'mmseg_pacbal', search_paths=[root], resolve_aliases=True, try_relative_path=False
    )
    modules = {module.path: module for module in public_modules(package)}
    for module in modules.values():
        for name, member in [*module.members.items()]:
            if name not in module.exports:
                del module.members[name]
            elif member.is_module and name in member.members:  # a function named as its file
                module.members[name] = member.members[name]
            elif member.is_module:
                del module.members[name]
    return modules


def python_changes(old: Path, new: Path) -> Iterator[str]:
    """A line for each exported name that is gone, and each argument that changed."""
    before, after = load(old), load(new)
    for path, module in before.items():
        if path not in after:
            yield f'{path}: gone'
            continue
        for change in griffe.find_breaking_changes(module, after[path]):
            yield f'{path}: {change.explain(griffe.ExplanationStyle.ONE_LINE)}'


def named(root: Path) -> set[str]:
    """Configs, and what ``PATTERNS`` finds."""
    found = {f'config {p.name}' for p in root.glob('configs/[!_]*/*')}
    found |= {f'config {p.name}' for p in root.glob('configs/*.py')}
    for kind, (files, pattern) in PATTERNS.items():
        texts = (path.read_text(encoding='utf-8') for path in root.glob(files))
        found |= {f'{kind} {name}' for text in texts for name in re.findall(pattern, text, re.M)}
    return found


def changes(old: Path, new: Path) -> list[str]:
    """What users of one tree miss in another, sorted."""
    gone = {f'{name}: gone' for name in named(old) - named(new)}
    roots = '|'.join(re.escape(f'{root}/') for root in (old, new))
    changed = {re.sub(rf'\x1b\[\d*m|{roots}', '', line) for line in python_changes(old, new)}
    return sorted(gone | changed)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--against', metavar='REF', default=BASE)
    with tempfile.TemporaryDirectory() as folder:
        unpack(p.parse_args().against, Path(folder))
        found = changes(Path(folder), ROOT)
    sys.exit('\n'.join(found) or None)


if __name__ == '__main__':
    main()
