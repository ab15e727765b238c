"""Training and testing with several processes, as users run them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.distributed.processes import free_port
from tests.running import DEMO, ROOT, tool_command

pytestmark = pytest.mark.slow

# The demo without what depends on the process: no random crop or flip, no dropout, and group norm
# in place of batch norm, whose statistics are those of one process on CPU.
CONFIG = """
_base_ = {demo!r}
custom_imports = dict(imports=['mmseg_pacbal', *{imports}], allow_failed_imports=False)
norm = dict(_delete_=True, type='GN', num_groups=4)
model = dict(
    backbone=dict(norm_cfg=norm, norm_eval=False),
    decode_head=dict(norm_cfg=norm, dropout_ratio=0.0, channels=16),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size={batch_size},
    dataset=dict(
        _delete_=True,
        **_base_.dataset,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/train.txt',
        pipeline=pipeline,
    ),
)
val_dataloader = dict(dataset=dict(indices=5))
test_dataloader = val_dataloader
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='BoundaryMetric')]
test_evaluator = val_evaluator
custom_hooks = {hooks}
"""

# Imported by the config of a run in which one process ends, or fails.
TROUBLE = """
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class Trouble(Hook):
    def __init__(self, kind):
        self.kind = kind

    def before_run(self, runner):
        Path(f'process_{get_rank()}').write_text(str(os.getpid()))

    def after_train_iter(self, runner, batch_idx, **kwargs):
        if get_rank() == 1 and runner.iter == 1:
            Path('trouble').touch()
            if self.kind == 'fail':
                raise ValueError('the third image is upside down')
            os.kill(os.getpid(), signal.SIGKILL)
"""

# Imported by the config of a run at whose end threads of gloo wait for the interpreter, to let go
# of tensors.
PENDING = """
import atexit
import sys

import torch


@atexit.register
def sum_without_waiting():
    sys.setswitchinterval(1000)
    for _ in range(100):
        torch.distributed.all_reduce(torch.ones(10**6), async_op=True)
"""


def write_config(folder: Path, batch_size: int = 4, imports: tuple = (), hooks: tuple = ()) -> Path:
    path = folder / f'config_{batch_size}.py'
    parts = dict(imports=list(imports), hooks=list(hooks))
    path.write_text(CONFIG.format(demo=str(DEMO), batch_size=batch_size, **parts))
    return path


def environment(folder: Path, **names: str) -> dict[str, str]:
    """Of a process that finds the modules in a folder, and the commands there and beside Python."""
    path = f'{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    own = dict(PATH=path, PYTHONPATH=f'{folder}{os.pathsep}{ROOT}', OMP_NUM_THREADS='1')
    return os.environ | own | names


def run(folder: Path, data: Path, tool: str, processes: int, *args: object):
    """Run tools/<tool>.py, by its script for several processes where there are several."""
    options = ['--cfg-options', f'data_root={data}', 'crop_size=128,160', 'max_iters=3']
    if processes > 1:
        command = ['bash', ROOT / 'tools' / f'dist_{tool}.sh', *args[:-2], processes, *args[-2:]]
    else:
        command = tool_command(tool, *args)
    return subprocess.run(
        [*map(str, command), *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(folder, PORT=free_port()),
        timeout=300,
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory, demo_data) -> Path:
    """A folder with the checkpoints of one process (work_1) and of two (work_2)."""
    folder = tmp_path_factory.mktemp('runs')
    for processes in (1, 2):
        config = write_config(folder, batch_size=4 // processes)
        work_dir = folder / f'work_{processes}'
        result = run(folder, demo_data, 'train', processes, config, '--work-dir', work_dir)
        assert result.returncode == 0, result.stderr
    return folder


def test_two_processes_train_as_one_with_the_whole_batch(trained):
    one, two = (
        torch.load(trained / f'work_{n}' / 'iter_3.pth', weights_only=False)['state_dict']
        for n in (1, 2)
    )
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


def test_metrics_of_five_images_do_not_depend_on_the_processes(trained, demo_data):
    records = {}
    for processes in (1, 2, 4):
        work_dir = trained / f'test_{processes}'
        args = (trained / 'config_4.py', trained / 'work_1' / 'iter_3.pth', '--work-dir', work_dir)
        result = run(trained, demo_data, 'test', processes, *args)
        assert result.returncode == 0, result.stderr
        record = json.loads(next(work_dir.glob('*/*.json')).read_text())
        records[processes] = {name: v for name, v in record.items() if 'time' not in name}
    assert {'mIoU', 'mBIoU', 'mBF1'} <= records[1].keys()
    assert records[1] == records[2] == records[4]


@pytest.mark.parametrize(
    ('kind', 'message'),
    [('kill', 'Signal 9 (SIGKILL) received'), ('fail', 'error: the third image is upside down')],
)
def test_a_process_that_ends_ends_the_others_within_a_minute(kind, message, demo_data, tmp_path):
    (tmp_path / 'trouble_hook.py').write_text(TROUBLE)
    config = write_config(
        tmp_path, 2, imports=('trouble_hook',), hooks=(dict(type='Trouble', kind=kind),)
    )
    result = run(tmp_path, demo_data, 'train', 2, config, '--work-dir', tmp_path / 'work')
    ended = time.time()
    assert (tmp_path / 'trouble').exists(), result.stderr
    assert ended - (tmp_path / 'trouble').stat().st_mtime < 60
    assert result.returncode != 0
    assert message in result.stderr
    for rank in (0, 1):
        pid = int((tmp_path / f'process_{rank}').read_text())
        assert not Path(f'/proc/{pid}').exists()


# Imported by the config of a run whose model has a parameter that takes no part in the loss.
UNUSED = """
import torch
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS


@MODELS.register_module()
class WithUnused(EncoderDecoder):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.unused = torch.nn.Parameter(torch.ones(1))
"""


def test_gloo_lets_tensors_go_late_and_finds_unused_parameters(demo_data, tmp_path):
    (tmp_path / 'pending_sums.py').write_text(PENDING)
    (tmp_path / 'unused_parameter.py').write_text(UNUSED)
    config = write_config(tmp_path, 2, imports=('pending_sums', 'unused_parameter'))
    with config.open('a') as file:
        file.write("model['type'] = 'WithUnused'\nfind_unused_parameters = True\n")
    result = run(tmp_path, demo_data, 'train', 2, config, '--work-dir', tmp_path / 'work')
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'work' / 'iter_3.pth').exists()
