"""One run of a study: claimed, trained, tested and recorded, in this process or on another node."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from mmengine.config import Config
from mmengine.device import get_device

from ...openmmlab.engine import latest_intact_checkpoint
from ...openmmlab.engine.processes import STOPPED
from ...openmmlab.engine.work_dir import logged_scalars
from ..provenance import provenance
from .claims import ClaimedError, claim
from .plan import Run, Study
from .records import is_same_data, read_record, readable_records, write_record

PR_SET_PDEATHSIG = 1  # of prctl(2)
_tools: dict[Path, subprocess.Popen] = {}  # those that run, by their logs


@dataclass(frozen=True)
class StudyPaths:
    """The folders of a study; all paths are absolute, and the same on every node."""

    study: Study
    work_dir: Path  # holds a folder for each run, with its config, log and checkpoints
    results: Path  # holds a JSON file for each finished run
    tools: Path  # of `train.py` and `test.py`
    cwd: Path  # in which they are started, since configs name data by relative paths

    def folder(self, run: Run) -> Path:
        return self.work_dir / run.name

    def notes(self, run: Run) -> Path:
        """The part of the folder that belongs to the study, not to the tools."""
        return self.folder(run) / 'study'

    def record(self, run: Run) -> Path:
        return self.results / f'{run.name}.json'

    def sibling_records(self) -> list[Path]:
        """The records of all studies on the same data set, this one included."""
        return [*self.results.parent.parent.glob(f'*/{self.results.name}/*.json')]

    def finished(self, run: Run) -> bool:
        """Whether the run's record exists; ValueError if it is that of another run, or none."""
        path = self.record(run)
        if not path.exists():
            return False
        record = read_record(path)
        same_settings = record['fingerprint'] == run.fingerprint
        if not same_settings or not is_same_data(record, run):
            other = 'on other data' if same_settings else 'with other settings'
            raise ValueError(
                f'{path} is the record of a run {other}; give the same --cfg-options as for that '
                'run or another --results, or move the file away'
            )
        return True

    def reusable(self, run: Run, records: Iterable[dict]) -> dict | None:
        """Of some records one of the same run, as another study has it.

        Of several, one measured on the same kind of device, since rounding differs between devices.
        """
        same = [r for r in records if r['fingerprint'] == run.fingerprint and is_same_data(r, run)]
        kind = torch.device(get_device()).type
        of_kind = [r for r in same if r['environment']['device'].startswith(kind)]
        return next(iter(of_kind + same), None)

    def iteration(self, run: Run) -> int:
        """How many iterations of a run are done, according to the log of its last start."""
        if self.record(run).exists():
            return run.iterations
        return [0, *(entry['step'] for entry in logged_scalars(self.folder(run)))][-1]


def execute(
    run: Run,
    paths: StudyPaths,
    patience: float = 0,
    gpus: str | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> bool:
    """Train, test and record a run, continuing from where it was stopped; print each phase.

    For ``patience`` seconds, or until ``cancelled``, waits for another process that works on it; it
    takes more than ``LEASE_SECONDS`` to find out that one is dead. ``gpus`` are indices such as
    ``'0,1'``; None leaves them to the environment.

    Returns:
        Whether its record exists; if not, a signal stopped it, or another process works on it.

    Raises:
        ValueError: The folder or the record belongs to a run with other settings.
        RuntimeError: A tool failed; the message says why and names the file with its whole output.
    """
    folder, notes = paths.folder(run), paths.notes(run)
    log = notes / 'log.txt'
    notes.mkdir(parents=True, exist_ok=True)
    try:
        with claim(paths.record(run), notes, patience, lambda: stop_tools(log), cancelled) as lock:
            if paths.finished(run) or _reuse_record(run, paths):
                return True
            config = _config_file(run, paths)
            tool = partial(_run_tool, run, gpus, log, lock, paths)
            checkpoint = latest_intact_checkpoint(folder)
            if checkpoint is None or checkpoint.name != f'iter_{run.iterations}.pth':
                if not tool('train', config, '--work-dir', folder, '--resume'):
                    return False
                checkpoint = latest_intact_checkpoint(folder)
            if not tool('test', config, checkpoint, '--work-dir', folder / 'test'):
                return False
            write_record(paths.record(run), _measured(run, paths, gpus))
            return True
    except ClaimedError:
        return False


def stop_tools(log: Path | None = None) -> None:
    """Make this process's tools, or the one with a given log, write a checkpoint and end."""
    for name, process in list(_tools.items()):
        if log in (None, name):
            process.terminate()


def _run_tool(
    run: Run, gpus: str | None, log: Path, lock: int, paths: StudyPaths, phase: str, *words: object
) -> bool:
    """Run a tool, which keeps ``lock`` open, to its end; False if a signal stopped it."""
    print(f'{run.name}: {phase}', flush=True)
    tool, processes = paths.tools / f'{phase}.py', run.processes
    command = [sys.executable, str(tool), *map(str, words), '--traceback']
    if processes > 1:
        torchrun = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
        command = [sys.executable, *torchrun, *command[1:], '--launcher', 'pytorch']
    with open(log, 'a') as file:
        start = file.tell()
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=paths.cwd,
            env=os.environ | ({} if gpus is None else dict(CUDA_VISIBLE_DEVICES=gpus)),
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C is for the study, which then tells its tools
            preexec_fn=_end_with_parent if sys.platform == 'linux' else None,
        )
    _tools[log] = process
    try:
        code = process.wait()
    finally:
        _tools.pop(log)
    said = log.read_bytes()[start:].decode(errors='replace')
    # torchrun exits with its own code if processes were stopped.
    stopped = processes > 1 and re.search('stopped by .* after iteration', said)
    if code in (STOPPED, -signal.SIGTERM) or (code and stopped):
        return False
    if code:
        errors = re.findall('^error: (.*)', said, re.MULTILINE)
        ended = f'{tool.name} ended with code {code}'
        if last := said.strip().rpartition('\n')[2]:
            ended += f', its last line: {last}'
        raise RuntimeError(f'{errors[-1] if errors else ended} (whole output: {log})')
    return True


def _end_with_parent() -> None:
    """Between fork and exec: ask the kernel to send SIGTERM when the parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _measured(run: Run, paths: StudyPaths, gpus: str | None) -> dict:
    """The record of a run that was trained and tested."""
    folder = paths.folder(run)
    metrics = json.loads(max((folder / 'test').glob('*/*.json'), key=os.path.getmtime).read_text())
    seconds = [entry['time'] for entry in logged_scalars(folder) if 'loss' in entry]
    gpu = f'cuda:{(gpus or "0").partition(",")[0]}'
    return dict(
        study=paths.study.name,
        dataset=paths.study.dataset,
        row=run.row,
        seed=run.seed,
        iterations=run.iterations,
        # None: too short for the logger's interval.
        seconds_per_iteration=round(fmean(seconds), 4) if seconds else None,
        metrics={k: v for k, v in metrics.items() if k not in ('data_time', 'time')},
        environment=provenance(gpu if torch.cuda.is_available() else 'cpu'),
        fingerprint=run.fingerprint,
        options=run.options,
        data=run.data,
    )


def _reuse_record(run: Run, paths: StudyPaths) -> bool:
    """Copy the record of the same run from another study on the same data set, if there is one."""
    # The study has named the files that hold none when it started.
    record = paths.reusable(run, readable_records(paths.sibling_records(), tell=lambda _: None))
    if record is None:
        return False
    # The options of the other study's command may be this row's own settings.
    own = dict(study=paths.study.name, row=run.row, options=run.options)
    write_record(paths.record(run), record | own)
    return True


def _config_file(run: Run, paths: StudyPaths) -> Path:
    """Write the run's config for the tools; mmengine's own copy is in the folder itself."""
    path = paths.notes(run) / 'config.py'
    text = run.cfg.pretty_text
    if run.processes > 1:
        text += f'# With {run.processes} processes.\n'
    begun = any(paths.folder(run).glob('*.pth'))  # else there is nothing to continue
    if begun and path.exists() and _of_training(path.read_text()) != _of_training(text):
        raise ValueError(
            f'{paths.folder(run)} holds a run with other settings; give the same --cfg-options as '
            'for that run or another --work-dir, or move the folder away'
        )
    path.write_text(text)
    return path


def _of_training(text: str) -> dict:
    """What in a run's written config can change its training; a test may be corrected after it."""
    settings = Config.fromstring(text, '.py').to_dict()
    kept = {k: v for k, v in settings.items() if not k.startswith(('test_', 'tta_'))}
    return kept | {'processes': text.partition('# With ')[2]}
