"""Adds configs and tools to the wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


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


setup(cmdclass={'build_py': BuildWithConfigs})
