"""The tools as users run them: in a process of their own, or in this one."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import mmseg
import pytest
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer
from mmseg.visualization import SegLocalVisualizer

from tests.environments import ROOT

DEMO = ROOT / 'configs' / 'pac_bal_demo.py'
TOOLS = ROOT / 'tools'
STOCK = Path(mmseg.__file__).parent / '.mim' / 'tools'  # MMSegmentation's own
ENVIRONMENT = {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}


def tool_command(name: str, *args: object, tools: Path = TOOLS) -> list[str]:
    return [sys.executable, str(tools / f'{name}.py'), *map(str, args)]


def run_tool(
    name: str, *args: object, tools: Path = TOOLS, **options: Any
) -> subprocess.CompletedProcess:
    """Run a tool in a process of its own, on one thread.

    Args:
        name: Name of the tool.
        args: Its arguments.
        tools: The folder of the tool.
        options: Of ``subprocess.run``; the working directory is the checkout without ``cwd``.
    """
    options = {'cwd': ROOT, 'env': os.environ | ENVIRONMENT, **options}
    command = tool_command(name, *args, tools=tools)
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def call_tool(name: str, *args: object) -> None:
    """Run a tool in this process, and leave arguments and environment as they were."""
    # Those of earlier calls write to streams that are closed, and to the folders of those calls.
    for manager in (MMLogger, Visualizer, SegLocalVisualizer):
        manager._instance_dict.clear()
    path = str(TOOLS / f'{name}.py')
    with mock.patch.object(sys, 'argv', [path, *map(str, args)]), mock.patch.dict(os.environ):
        runpy.run_path(path, run_name='__main__')


def failure(capsys: pytest.CaptureFixture, name: str, *args: object) -> tuple[str, str]:
    """What a tool that is run in this process prints, and the one sentence it ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call_tool(name, *args)
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert 'Traceback' not in err
    (sentence,) = [line for line in err.splitlines() if line.startswith('error: ')]
    return out, sentence.removeprefix('error: ')


def mistake(capsys: pytest.CaptureFixture, name: str, *args: object) -> str:
    """The one sentence that a tool ends with."""
    return failure(capsys, name, *args)[1]


def small(data: Path, *options: str) -> list[str]:
    """Options of a short run of the demo on its data."""
    return ['--cfg-options', f'data_root={data}', 'crop_size=64,64', *options]
