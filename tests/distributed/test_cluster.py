"""Two nodes of one machine: agents that find each other, processes that are lost, Slurm's place."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.distributed.processes import free_port
from tests.distributed.test_tools import environment, write_config
from tests.running import ROOT

pytestmark = pytest.mark.slow
SETTINGS = ('crop_size=64,64', 'max_iters=20', 'default_hooks.checkpoint.interval=4')
SETTINGS += ('train_cfg.val_interval=20', 'randomness.seed=0')

# Imported by the config: tells the tests who trains and how far, and has a process lost once.
WATCH = """
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class Watch(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        with open('iterations', 'a') as file:
            file.write(f'{get_rank()} {runner.iter} {os.getpid()}\\n')
        if get_rank() == 1 and runner.iter == 6 and Path('lose').exists():
            Path('lose').unlink()
            os.kill(os.getpid(), signal.SIGKILL)
"""

# Stands in for srun: notes its arguments and starts the tasks here, with the names that it gives
# them. As srun does, it hands signals on, kills the rest when one fails, and ends with the highest
# code.
SRUN = """#!{python}
import os, signal, subprocess, sys, time

open('asked', 'w').write('\\n'.join(sys.argv[1:]))
own = [argument for argument in sys.argv[1:] if argument.startswith('--ntasks=')]
command = sys.argv[sys.argv.index('python'):]
tasks = []
for index in range(int(own[0].partition('=')[2])):
    names = dict(PROCID=index, NTASKS=2, LOCALID=index, NODELIST='node[1-2]')
    environment = dict(os.environ, **{{f'SLURM_{{k}}': str(v) for k, v in names.items()}})
    tasks.append(subprocess.Popen(command, env=environment))
signal.signal(signal.SIGUSR1, lambda *_: [task.send_signal(signal.SIGUSR1) for task in tasks])
while any(task.poll() is None for task in tasks):
    time.sleep(0.1)
    if any(task.poll() for task in tasks):
        [task.kill() for task in tasks]
sys.exit(max(code if code >= 0 else 128 - code for code in (task.wait() for task in tasks)))
"""
SCONTROL = '#!/bin/sh\n[ "$*" = \'show hostname node[1-2]\' ] && echo localhost && echo node2\n'


@pytest.fixture
def config(tmp_path) -> Path:
    (tmp_path / 'watch.py').write_text(WATCH)
    return write_config(tmp_path, 2, imports=('watch',), hooks=(dict(type='Watch'),))


def start(folder: Path, command: Sequence, **names: str) -> subprocess.Popen:
    with open(folder / f'log_{len(list(folder.glob("log_*")))}', 'w') as log:
        return subprocess.Popen(
            [*map(str, command)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(folder, **names),
        )


def logs(folder: Path) -> str:
    return '\n'.join(path.read_text() for path in sorted(folder.glob('log_*')))


def iterations(folder: Path) -> list[tuple[int, int, int]]:
    """Rank, iteration and process, in the order of training."""
    path = folder / 'iterations'
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def wait_for_iteration(folder: Path, iteration: int) -> None:
    deadline = time.time() + 300
    while not any(entry[1] >= iteration for entry in iterations(folder)):
        assert time.time() < deadline, logs(folder)
        time.sleep(0.05)


def options(data: Path, config: Path, *own: object) -> list:
    work_dir = ['--work-dir', config.parent / 'work']
    return [*own, *work_dir, '--cfg-options', f'data_root={data}', *SETTINGS]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'work' / 'iter_20.pth', weights_only=True)['state_dict']


def test_two_nodes_continue_when_a_process_is_lost(config, demo_data, tmp_path):
    (tmp_path / 'lose').touch()
    train = [ROOT / 'tools' / 'dist_train.sh', config, 1, *options(demo_data, config)]
    shared = dict(NNODES='2', PORT=free_port(), MAX_RESTARTS='2')
    nodes = [start(tmp_path, train, NODE_RANK=rank, **shared) for rank in '01']
    assert [node.wait(timeout=600) for node in nodes] == [0, 0], logs(tmp_path)
    assert not (tmp_path / 'lose').exists()
    seen = iterations(tmp_path)
    for rank in (0, 1):
        processes = list(dict.fromkeys(entry[2] for entry in seen if entry[0] == rank))
        first, second = ([e[1] for e in seen if e[::2] == (rank, pid)] for pid in processes)
        assert first == list(range(len(first)))
        assert second == list(range(4, 20))  # from the checkpoint before iteration 6
    lost = weights(tmp_path)

    # The same run without the loss: the order of the sums alone may differ.
    (tmp_path / 'work').rename(tmp_path / 'first')
    train[2] = 2
    assert start(tmp_path, train, PORT=free_port()).wait(timeout=600) == 0, logs(tmp_path)
    torch.testing.assert_close(lost, weights(tmp_path), rtol=1e-4, atol=1e-5)


def test_sigterm_ends_dist_train_with_75_and_resume_continues(config, demo_data, tmp_path):
    train = [ROOT / 'tools' / 'dist_train.sh', config, 2, *options(demo_data, config, '--resume')]
    training = start(tmp_path, train, PORT=free_port())
    wait_for_iteration(tmp_path, 2)
    training.send_signal(signal.SIGTERM)
    assert training.wait(timeout=120) == 75, logs(tmp_path)
    stopped = len(iterations(tmp_path))
    assert {entry[1] for entry in iterations(tmp_path)} == set(range(10))
    assert (tmp_path / 'work' / 'iter_10.pth').exists()

    assert start(tmp_path, train, PORT=free_port()).wait(timeout=600) == 0, logs(tmp_path)
    assert iterations(tmp_path)[stopped][1] == 10
    assert (tmp_path / 'work' / 'iter_20.pth').exists()


def test_slurm_trains_is_requeued_and_tests(config, demo_data, tmp_path):
    for name, content in (('srun', SRUN.format(python=sys.executable)), ('scontrol', SCONTROL)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    slurm = dict(GPUS='2', GPUS_PER_NODE='1', SRUN_ARGS='--gres=none --time=10')
    slurm['MASTER_PORT'] = free_port()
    given = options(demo_data, config, '--resume')

    def run(tool: str, *arguments: object) -> subprocess.Popen:
        script = ROOT / 'tools' / f'slurm_{tool}.sh'
        return start(tmp_path, [script, 'part', 'job', *arguments], **slurm)

    training = run('train', config, *given)
    wait_for_iteration(tmp_path, 2)
    training.send_signal(signal.SIGUSR1)
    assert training.wait(timeout=120) == 75, logs(tmp_path)
    assert (tmp_path / 'work' / 'iter_10.pth').exists()
    assert (tmp_path / 'asked').read_text().split('\n') == [
        *('-p', 'part', '--job-name=job', '--gres=gpu:1', '--ntasks=2', '--ntasks-per-node=1'),
        *('--cpus-per-task=5', '--kill-on-bad-exit=1', '--gres=none', '--time=10', 'python'),
        *('-u', str(ROOT / 'tools' / 'train.py'), str(config), '--launcher', 'slurm'),
        *map(str, given),
    ]

    assert run('train', config, *given).wait(timeout=600) == 0, logs(tmp_path)
    last = tmp_path / 'work' / 'iter_20.pth'
    assert last.exists()
    assert run('test', config, last, *given[1:]).wait(timeout=600) == 0, logs(tmp_path)
    assert 'mIoU' in logs(tmp_path)
