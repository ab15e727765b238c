"""Metadata of mmseg-pacbal; lint and test settings are in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION: dict = {}
exec((ROOT / 'mmseg_pacbal' / 'version.py').read_text(), VERSION)


class BuildWithConfigs(build_py):
    """Carry configs, tools and their index in `.mim`, where MMSegmentation's wheel has them too."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'mmseg_pacbal', '.mim')
        for folder in ('configs', 'tools'):
            ignore = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / folder, target / folder, dirs_exist_ok=True, ignore=ignore)
        shutil.copy2(ROOT / 'model-index.yml', target)


TEST = ['pytest>=7', 'hypothesis', 'tensorboard']
setup(
    name='mmseg-pacbal',
    version=VERSION['__version__'],
    description='Pyramid Atrous Convolution and Boundary-aware Loss for MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    classifiers=[
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['mmseg_pacbal', 'mmseg_pacbal.*']),
    cmdclass={'build_py': BuildWithConfigs},
    python_requires='>=3.10,<3.13',
    install_requires=[
        'torch>=2.0,<2.14',
        'mmengine>=0.10.7,<0.11',
        'mmsegmentation>=1.2.2,<1.3',
        'numpy',
        'opencv-python',
        'pillow',
        'matplotlib',
        'scipy',
        'packaging',
        'prettytable',
        'pyyaml',
        'rich',
        # MMSegmentation imports these two without declaring them.
        'ftfy',
        'regex',
    ],
    # mmcv is chosen by the user: both packages are the same module, so neither is required here.
    extras_require={
        'lite': ['mmcv-lite>=2.1,<2.2'],
        'full': ['mmcv>=2.0.0rc4,<2.2'],
        'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
        'triton': ['triton>=3.2; platform_system == "Linux"'],
        'test': TEST,
        'dev': [*TEST, 'mypy', 'ruff'],
    },
)
