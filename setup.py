"""Adds configs and tools to the wheel, and a README for PyPI; the rest is in pyproject.toml.

MMSEG_PACBAL_REPOSITORY=https://HOST/OWNER/NAME python -m build

PyPI resolves no relative links. With the variable, which the workflow that publishes sets, those of
README.md lead to the tag of this version in that repository; without it only their text is kept.
"""

import os
import re
import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / 'mmseg_pacbal' / 'version.py'))['__version__']
# [text](target) and ![text](target), whose target is neither a URL nor an anchor
RELATIVE = re.compile(r'(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)')


class BuildWithConfigs(build_py):
    """Copy configs, tools and their index to `.mim`, where MMSegmentation's wheel has them too."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'mmseg_pacbal', '.mim')
        for folder in ('configs', 'tools'):
            ignore = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / folder, target / folder, dirs_exist_ok=True, ignore=ignore)
        shutil.copy2(ROOT / 'model-index.yml', target)


def readme(text: str, repository: str) -> str:
    """README.md as PyPI can show it: see above.

    Args:
        text: README.md.
        repository: Address of the repository; empty if it is not known.
    """

    def resolve(link: re.Match) -> str:
        picture, words, target = link.groups()
        if repository:
            view = 'raw' if picture else 'blob'
            return f'{picture}[{words}]({repository}/{view}/v{VERSION}/{target})'
        return '' if picture else words

    return RELATIVE.sub(resolve, text)


def urls(repository: str) -> dict[str, str]:
    """Links beside the README on PyPI, none without a repository."""
    if not repository:
        return {}
    changelog = f'{repository}/blob/v{VERSION}/CHANGELOG.md'
    return dict(Repository=repository, Changelog=changelog, Issues=f'{repository}/issues')


if __name__ == '__main__':
    home = os.environ.get('MMSEG_PACBAL_REPOSITORY', '').rstrip('/')
    setup(
        cmdclass={'build_py': BuildWithConfigs},
        long_description=readme((ROOT / 'README.md').read_text(encoding='utf-8'), home),
        long_description_content_type='text/markdown',
        project_urls=urls(home),
    )
