"""The examples run, learn, and are as short as they say; they need packages of their own."""

import ast
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from tests.environments import ROOT

EXAMPLES = ROOT / 'examples'
# Options with which an example takes seconds, and the package that it needs.
CASES = {
    'segmentation_models --model Unet --iterations 40': 'segmentation_models_pytorch',
    'segmentation_models --model DeepLabV3Plus --iterations 40': 'segmentation_models_pytorch',
    'torchvision_deeplabv3 --iterations 40': 'torchvision',
    'huggingface_segformer --iterations 40': 'transformers',
    'lightning_module --iterations 40': 'lightning',
    'lightning_module --iterations 30 --devices 2': 'lightning',
    'monai_unet --epochs 6': 'ignite',
}
NAMES = {'mBIoU', 'trimap_mIoU@4', 'mBF1'}


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob('*.py')} == {case.split()[0] for case in CASES}


@pytest.mark.parametrize('path', sorted(EXAMPLES.glob('*.py')), ids=lambda path: path.stem)
def test_example_is_short_and_marks_what_is_new(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 70
    assert 2 <= sum('# new' in line for line in text.splitlines()) <= 3
    assert f'python examples/{path.name}' in ast.get_docstring(ast.parse(text))


@pytest.mark.slow
@pytest.mark.parametrize(
    'case', [pytest.param(c, marks=[pytest.mark.long] if '--devices' in c else []) for c in CASES]
)
def test_example_learns(case):
    if importlib.util.find_spec(CASES[case]) is None:
        pytest.skip(f'{CASES[case]} is not installed')
    name, *options = case.split()
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', EXAMPLES / f'{name}.py', *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'HF_HUB_OFFLINE': '1'},
    )
    assert result.returncode == 0, result.stderr
    assert re.search("^step 25: loss|^{'loss': ", result.stdout, re.MULTILINE)
    scores = {
        line.split()[0]: ast.literal_eval(line.partition(' ')[2].strip())
        for line in result.stdout.splitlines()
        if line.startswith(('before', 'after'))
    }
    assert scores['before'].keys() == scores['after'].keys() == NAMES
    assert scores['after']['trimap_mIoU@4'] > 1.3 * scores['before']['trimap_mIoU@4']
