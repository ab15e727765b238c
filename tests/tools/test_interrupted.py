"""Training that is killed at any moment, or finds the disk full, and then continues with --resume.

Each test runs tools/train.py in a process of its own. A hook in its config has the system kill
that process, or limit its files to less than a checkpoint, at a chosen moment.
"""

import os
import signal
from pathlib import Path

import pytest

from mmseg_pacbal.openmmlab.datasets import generate_synthetic_voc
from tests.openmmlab.engine.tiny_run import assert_same_checkpoint, load
from tests.running import DEMO, ROOT, run_tool, small

pytestmark = pytest.mark.slow

ACCIDENTS = """
import os, resource, signal
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

moment, _, iteration = os.environ.get('ACCIDENT', 'never:0').partition(':')


@HOOKS.register_module()
class Accident(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx + 1 != int(iteration):
            return
        if moment == 'training':
            os.kill(os.getpid(), signal.SIGKILL)
        if moment in ('writing', 'full'):
            # A part of a checkpoint fits. Python ignores the signal, and the write fails as on a
            # full disk; the system's own answer to it is to kill.
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
            if moment == 'writing':
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if moment == 'validation' and runner.iter == int(iteration):
            os.kill(os.getpid(), signal.SIGKILL)
"""
CONFIG = """
_base_ = {demo!r}
custom_imports = dict(imports=['mmseg_pacbal', 'accidents'], allow_failed_imports=False)
custom_hooks = [dict(type='Accident')]
model = dict(data_preprocessor=dict(size=(64, 64)))
train_dataloader = dict(batch_size=4)
val_dataloader = dict(dataset=dict(indices=4))
train_cfg = dict(val_interval=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
"""
WORKERS = ('train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True')
LAST = 6


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('config')
    (folder / 'accidents.py').write_text(ACCIDENTS)
    path = folder / 'config.py'
    path.write_text(CONFIG.format(demo=str(DEMO)))
    generate_synthetic_voc(folder / 'data')
    return path


def train(config: Path, work_dir: Path, *options: str, accident: str = '', resume: bool = False):
    args = [config, '--work-dir', work_dir, *['--resume'] * resume]
    options = small(config.parent / 'data', f'max_iters={LAST}', *options)
    path = f'{config.parent}{os.pathsep}{ROOT}'
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1')
    if accident:
        environment['ACCIDENT'] = accident
    return run_tool('train', *args, *options, env=environment, timeout=300)


def names(folder: Path) -> list[str]:
    """Files of a work dir, but for logs and the config."""
    return sorted(p.name for p in folder.iterdir() if p.is_file() and p.suffix != '.py')


@pytest.fixture(scope='module')
def whole(config, tmp_path_factory) -> Path:
    """The work dir of a run that nothing happened to, without a seed in its config.

    With --resume, as in a script that is started again and again, but for the first time.
    """
    work_dir = tmp_path_factory.mktemp('whole')
    result = resume(config, work_dir, 'randomness.seed=None')
    assert f'{work_dir} holds no checkpoint to continue from: a new run is started' in result.stdout
    return work_dir


@pytest.fixture
def seed(whole) -> str:
    return f'randomness.seed={load(whole / f"iter_{LAST}.pth")["meta"]["seed"]}'


def assert_same_run(ours: Path, expected: Path) -> None:
    assert names(ours) == names(expected)
    assert f'iter_{LAST}.pth' in names(ours)
    for name in (n for n in names(ours) if n.endswith('.pth')):
        assert_same_checkpoint(ours / name, expected / name)


def resume(config: Path, work_dir: Path, *options: str):
    resumed = train(config, work_dir, *options, resume=True)
    assert resumed.returncode == 0, resumed.stderr
    return resumed


@pytest.mark.parametrize(
    ('accident', 'signalled', 'left', 'options'),
    [
        ('training:6', signal.SIGKILL, 'iter_4.pth', WORKERS),
        ('writing:4', signal.SIGXFSZ, 'iter_2.pth', ()),
        ('validation:4', signal.SIGKILL, 'iter_4.pth', WORKERS),
    ],
)
def test_killed_run_continues(accident, signalled, left, options, config, whole, seed, tmp_path):
    """One checkpoint is kept, and it is there whole; what follows is the run without the kill."""
    killed = train(config, tmp_path, seed, *options, accident=accident)
    assert killed.returncode == -signalled, killed.stderr
    assert [n for n in names(tmp_path) if n.startswith('iter_') and n.endswith('.pth')] == [left]

    resume(config, tmp_path, 'randomness.seed=None', *options)
    assert_same_run(tmp_path, whole)


def test_full_disk_ends_in_one_sentence(config, whole, seed, tmp_path):
    full = train(config, tmp_path, seed, accident='full:4')
    assert full.returncode == 1
    assert 'Traceback' not in full.stderr
    assert [line for line in full.stderr.splitlines() if line.startswith('error: ')] == [
        f'error: {tmp_path}/iter_4.pth could not be written (File too large); the earlier '
        'checkpoints are intact: free some space and continue with --resume'
    ]
    assert [n for n in names(tmp_path) if n.startswith('iter_')] == ['iter_2.pth']

    resume(config, tmp_path, seed)
    assert_same_run(tmp_path, whole)


def test_half_written_last_checkpoint_is_passed_over(config, whole, tmp_path):
    """As stock mmengine leaves it when it is killed while it writes."""
    content = (whole / f'iter_{LAST}.pth').read_bytes()
    (tmp_path / f'iter_{LAST}.pth').write_bytes(content)
    broken = tmp_path / f'iter_{LAST + 2}.pth'
    broken.write_bytes(content[: len(content) // 2])
    (tmp_path / 'last_checkpoint').write_text(str(broken))

    resumed = resume(config, tmp_path)
    going_on = f'{broken} missing, cut off or damaged: continuing from {tmp_path}/iter_{LAST}.pth'
    assert going_on in resumed.stdout
    assert f'iteration {LAST} of {LAST} is already reached' in resumed.stdout + resumed.stderr
