"""Train and test the runs of a study, one process after another on each device."""

import fcntl
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ...openmmlab.engine import last_whole_checkpoint
from ..provenance import provenance
from .plan import Run, Study


class StudyRunner:
    """Runs of a study that can be stopped at any moment and started again.

    A run is finished when its JSON is there, and is never repeated; one whose training was
    stopped goes on from its last checkpoint.

    Args:
        study: Its name and data set are written into every record.
        runs: What to run.
        work_dir: Holds a folder for each run: its config, log and checkpoints.
        results: Holds a JSON for each finished run.
        tools: Folder of ``train.py`` and ``test.py``.
        devices: Indices of GPUs, each of which takes a run at a time; ``None`` stands for one
            run at a time on whatever there is.
    """

    def __init__(
        self,
        study: Study,
        runs: list[Run],
        work_dir: Path,
        results: Path,
        tools: Path,
        devices: list[int | None],
    ) -> None:
        self.study = study
        self.runs = runs
        self.work_dir = work_dir
        self.results = results
        self.tools = tools
        self.devices = devices
        self.failed: list[str] = []
        self._workers: list[threading.Thread] = []

    def record_path(self, run: Run) -> Path:
        return self.results / f'{run.name}.json'

    def finished(self, run: Run) -> bool:
        """Whether the run's record is there.

        Raises:
            ValueError: It is, but of other settings.
        """
        path = self.record_path(run)
        if not path.exists():
            return False
        if json.loads(path.read_text())['fingerprint'] != run.fingerprint:
            raise ValueError(
                f'{path} is of a run with other settings; give the same --cfg-options as then, '
                'another --results, or move the file away'
            )
        return True

    def iterations_done(self) -> int:
        """Iterations of all runs up to now, as their logs tell."""
        return sum(
            run.iterations if self.record_path(run).exists() else self._iteration(run)
            for run in self.runs
        )

    def start(self) -> None:
        """Start a thread for each device."""
        todo: queue.SimpleQueue[Run] = queue.SimpleQueue()
        for run in self.runs:
            if not self.finished(run):
                todo.put(run)
        for device in self.devices:
            thread = threading.Thread(target=self._work, args=(todo, device), daemon=True)
            thread.start()
            self._workers.append(thread)

    def working(self) -> bool:
        return any(thread.is_alive() for thread in self._workers)

    def _work(self, todo: queue.SimpleQueue, device: int | None) -> None:
        while True:
            try:
                run = todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._execute(run, device)
            except Exception as error:
                self.failed.append(f'{run.name}: {error}')

    def _execute(self, run: Run, device: int | None) -> None:
        folder = self.work_dir / run.name
        (folder / 'study').mkdir(parents=True, exist_ok=True)
        with _locked(folder) as lock:
            if not self._adopt(run):
                config = _config_file(run, folder)
                train = [config, '--work-dir', folder, '--resume']
                self._tool('train.py', train, folder, device, lock)
                test = [config, last_whole_checkpoint(folder), '--work-dir', folder / 'test']
                self._tool('test.py', test, folder, device, lock)
                self._record(run, folder, device)

    def _adopt(self, run: Run) -> bool:
        """Take the record of the same run over from another study on the same data set."""
        for path in sorted(self.results.parent.parent.glob(f'*/{self.results.name}/*.json')):
            record = json.loads(path.read_text())
            if record.get('fingerprint') == run.fingerprint:
                self._write(run, dict(record, study=self.study.name, row=run.row))
                return True
        return False

    def _tool(
        self, name: str, arguments: list, folder: Path, device: int | None, lock: int
    ) -> None:
        environment = dict(os.environ)
        if device is not None:
            environment['CUDA_VISIBLE_DEVICES'] = str(device)
        command = [sys.executable, self.tools / name, *arguments]
        log_file = folder / 'study' / 'log.txt'
        with open(log_file, 'a') as log:
            # The lock lives as long as the tool does, should the runner be killed.
            code = subprocess.run(
                [str(part) for part in command],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[lock],
                check=False,
            ).returncode
        if code:
            errors = re.findall('^error: (.*)', log_file.read_text(), re.MULTILINE)
            reason = errors[-1] if errors else f'{name} ended with code {code}'
            raise RuntimeError(f'{reason} (log: {log_file})')

    def _record(self, run: Run, folder: Path, device: int | None) -> None:
        measured = max((folder / 'test').glob('*/*.json'), key=os.path.getmtime)
        metrics = json.loads(measured.read_text())
        seconds = [entry['time'] for entry in _scalars(folder) if 'loss' in entry]
        record = dict(
            study=self.study.name,
            dataset=self.study.dataset,
            row=run.row,
            seed=run.seed,
            iterations=run.iterations,
            seconds_per_iteration=round(sum(seconds) / len(seconds), 4),
            metrics={k: v for k, v in metrics.items() if k not in ('data_time', 'time')},
            environment=provenance(f'cuda:{device or 0}' if torch.cuda.is_available() else 'cpu'),
            fingerprint=run.fingerprint,
        )
        self._write(run, record)

    def _write(self, run: Run, record: dict) -> None:
        path = self.record_path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix('.partial')
        partial.write_text(json.dumps(record, indent=1) + '\n')
        partial.replace(path)

    def _iteration(self, run: Run) -> int:
        return max((entry['step'] for entry in _scalars(self.work_dir / run.name)), default=0)


def _scalars(folder: Path) -> Iterator[dict]:
    """What training logged, all its starts together."""
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            with suppress(json.JSONDecodeError):  # the line that a kill cut off
                yield json.loads(line)


def _config_file(run: Run, folder: Path) -> Path:
    """Write the run's config for the tools; mmengine's own copy lies in the folder itself."""
    path = folder / 'study' / 'config.py'
    if path.exists() and path.read_text() != run.cfg.pretty_text:
        raise ValueError(
            f'{folder} holds a run with other settings; give the same --cfg-options as then, '
            'another --work-dir, or move the folder away'
        )
    path.write_text(run.cfg.pretty_text)
    return path


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Keep two runners from training in the same folder."""
    with open(folder / 'study' / 'lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f'another process works in {folder}; wait for it or stop it'
            ) from None
        yield file.fileno()
