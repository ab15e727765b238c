"""Tools that train nothing, and a study of them: what the runner does with them is tested."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

from mmseg_pacbal.apps.study.execution import StudyPaths
from mmseg_pacbal.apps.study.plan import Row, Run, Study
from mmseg_pacbal.apps.study.runner import StudyRunner
from tests.environments import ROOT

ITERATIONS = 8
# Both note in `calls` who started them, where, when and on which GPUs.
COMMON = """
import json, os, signal, sys, time
from pathlib import Path

arguments = sys.argv[1:]
work_dir = Path(arguments[arguments.index('--work-dir') + 1])
calls = Path(__file__).parent / 'calls'


def note(what):
    with open(calls, 'a') as file:
        entry = dict(what=what, run=Path(arguments[0]).parents[1].name, pid=os.getpid(),
                     time=time.time(), gpus=os.environ.get('CUDA_VISIBLE_DEVICES'))
        file.write(json.dumps(entry) + chr(10))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a') as file:
        file.write(json.dumps(content) + chr(10))
"""
# Checkpoints end with a digest, as ours do; SIGTERM is answered as ours does.
# While there is a file `hold`, no run gets beyond iteration 5.
TRAIN = (
    COMMON
    + """
import hashlib

stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
done = max([int(p.stem.partition('_')[2]) for p in work_dir.glob('iter_*.pth')], default=0)
note(f'train from {done}')
if (calls.parent / 'fail').exists() and 'bad' in str(work_dir):
    if '--traceback' in arguments:
        print('Traceback (most recent call last):')
    print('error: the third image is upside down')
    sys.exit(1)
for iteration in range(done + 1, ITERATIONS + 1):
    time.sleep(SECONDS)
    while iteration == 6 and not stopping and (calls.parent / 'hold').exists():
        time.sleep(0.05)
    if 'SILENT' not in os.environ:  # as a training shorter than the interval of its logger
        write(work_dir / str(os.getpid()) / 'vis_data' / 'scalars.json',
              dict(step=iteration, loss=1.0, time=0.5))
    if iteration % 4 == 0 or stopping:
        weights = f'weights {iteration} sha256:'.encode()
        digest = hashlib.sha256(weights).hexdigest().encode()
        (work_dir / f'iter_{iteration}.pth').write_bytes(weights + digest)
    if stopping:
        note('stopped')
        sys.exit(75)
note('trained')
"""
)
TEST = COMMON + "note('test')\nwrite(work_dir / 'now' / 'now.json', dict(mIoU=50.0, time=1.0))\n"


def write_tools(folder: Path, seconds: float = 0) -> Path:
    """Stand-ins in ``tools`` of a folder, with so many seconds for an iteration."""
    tools = folder / 'tools'
    tools.mkdir()
    (tools / 'train.py').write_text(f'ITERATIONS, SECONDS = {ITERATIONS}, {seconds}\n{TRAIN}')
    (tools / 'test.py').write_text(TEST)
    return tools


def calls(folder: Path) -> list[dict]:
    """What the tools of a folder noted."""
    path = folder / 'tools' / 'calls'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def whats(folder: Path, *runs: str) -> list[str]:
    """What they did, of all runs or of some."""
    return [call['what'] for call in calls(folder) if not runs or call['run'] in runs]


def workplace(folder: Path) -> StudyPaths:
    study = Study('mine', 'data', 'base', {name: Row(name, 'none.py') for name in ('base', 'bad')})
    results = folder / 'results' / 'mine' / 'data'
    return StudyPaths(study, folder / 'work', results, folder / 'tools', folder)


def plan(*names: str, seeds: int = 1, processes: int = 1) -> list[Run]:
    train = dict(max_iters=ITERATIONS)
    return [
        Run(name, seed, Config(dict(model=name, train_cfg=train, randomness=seed)), processes)
        for seed in range(seeds)
        for name in names
    ]


def run_all(runner: StudyRunner) -> StudyRunner:
    runner.start()
    while runner.wait(0.2):
        pass
    runner.stop()
    return runner


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it did not come to that'
        time.sleep(0.02)


def start_driver(folder: Path, pool: str, *names: str) -> subprocess.Popen:
    """Runs these rows of the study in a process of its own, with one seed."""
    code = (
        'import sys\n'
        'from pathlib import Path\n'
        'from mmseg_pacbal.apps.study.runner import DevicePool, RayPool, StudyRunner\n'
        'from tests.apps.study.stand_ins import plan, run_all, workplace\n'
        f'place = workplace(Path({str(folder)!r}))\n'
        f'runner = run_all(StudyRunner(plan(*{names!r}), place, {pool}))\n'
        'sys.exit(str(runner.failed) if runner.failed else 0)\n'
    )
    return subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, start_new_session=True)
