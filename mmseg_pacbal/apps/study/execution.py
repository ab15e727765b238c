"""One run of a study: claimed, trained, tested and recorded, in this process or on another node."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.device import get_device

from ...openmmlab.engine import latest_intact_checkpoint
from ..provenance import provenance
from .claims import ClaimedError, claim
from .plan import Run, Study
from .records import read_record, readable_records, write_record
from .tool_processes import run_tool, stop_tools


@dataclass(frozen=True)
class StudyPaths:
    """The folders of a study; all paths are absolute, and the same on every node.

    Attributes:
        study: Its name and data set are written into every record.
        work_dir: Holds a folder for each run, with its config, log and checkpoints.
        results: Holds a JSON file for each finished run.
        tools: Folder of ``train.py`` and ``test.py``.
        cwd: Folder in which they are started, since configs name data by relative paths.
    """

    study: Study
    work_dir: Path
    results: Path
    tools: Path
    cwd: Path

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
        """Whether the run's record exists.

        Raises:
            ValueError: It is the record of a run with other settings, or none at all.
        """
        path = self.record(run)
        if not path.exists():
            return False
        if read_record(path)['fingerprint'] != run.fingerprint:
            raise ValueError(
                f'{path} is the record of a run with other settings; give the same --cfg-options '
                'as for that run or another --results, or move the file away'
            )
        return True

    def iteration(self, run: Run) -> int:
        """How many iterations of a run are done, according to its logs."""
        if self.record(run).exists():
            return run.iterations
        return max((entry['step'] for entry in _scalars(self.folder(run))), default=0)


def execute(
    run: Run,
    paths: StudyPaths,
    patience: float = 0,
    gpus: str | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> bool:
    """Train, test and record a run, continuing from where it was stopped.

    Args:
        run: The run to execute.
        paths: Its folders.
        patience: How many seconds to wait for another process that works on it. It takes more
            than ``LEASE_SECONDS`` to find out that a process is dead.
        gpus: Indices of the GPUs to use, such as ``'0,1'``; None leaves this to the environment.
        cancelled: Whether to stop waiting.

    Returns:
        Whether its record exists; if not, a signal stopped it, or another process works on it.

    Raises:
        ValueError: The folder or the record belongs to a run with other settings.
        RuntimeError: A tool failed; the message says why and names its log.
    """
    notes = paths.notes(run)
    notes.mkdir(parents=True, exist_ok=True)
    log = notes / 'log.txt'
    try:
        with claim(paths.record(run), notes, patience, lambda: stop_tools(log), cancelled) as lock:
            if paths.finished(run) or _reuse_record(run, paths):
                return True
            tool = partial(run_tool, log=log, cwd=paths.cwd, lock=lock, gpus=gpus)
            return _train_and_test(run, paths, partial(tool, processes=run.processes), gpus)
    except ClaimedError:
        return False


def _train_and_test(
    run: Run, paths: StudyPaths, tool: Callable[..., bool], gpus: str | None
) -> bool:
    folder, config = paths.folder(run), _config_file(run, paths)
    if not tool(paths.tools / 'train.py', config, '--work-dir', folder, '--resume'):
        return False
    checkpoint = latest_intact_checkpoint(folder)
    if not tool(paths.tools / 'test.py', config, checkpoint, '--work-dir', folder / 'test'):
        return False
    measured = max((folder / 'test').glob('*/*.json'), key=os.path.getmtime)
    seconds = [entry['time'] for entry in _scalars(folder) if 'loss' in entry]
    metrics = json.loads(measured.read_text())
    record = dict(
        study=paths.study.name,
        dataset=paths.study.dataset,
        row=run.row,
        seed=run.seed,
        iterations=run.iterations,
        seconds_per_iteration=round(sum(seconds) / len(seconds), 4),
        metrics={k: v for k, v in metrics.items() if k not in ('data_time', 'time')},
        environment=provenance(_device(gpus)),
        fingerprint=run.fingerprint,
    )
    write_record(paths.record(run), record)
    return True


def _device(gpus: str | None) -> str:
    return f'cuda:{(gpus or "0").partition(",")[0]}' if torch.cuda.is_available() else 'cpu'


def _reuse_record(run: Run, paths: StudyPaths) -> bool:
    """Copy the record of the same run from another study on the same data set, if there is one.

    Of several, one measured on the same kind of device, since rounding differs between devices.
    """
    # The study has named the files that hold none when it started.
    records = readable_records(paths.sibling_records(), tell=lambda _: None)
    same = [record for record in records if record['fingerprint'] == run.fingerprint]
    if not same:
        return False
    kind = torch.device(get_device()).type
    record = min(same, key=lambda r: r['environment']['device'].partition(':')[0] != kind)
    write_record(paths.record(run), dict(record, study=paths.study.name, row=run.row))
    return True


def _scalars(folder: Path) -> Iterator[dict]:
    """What training logged, from all its starts."""
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            with suppress(json.JSONDecodeError):  # a line that was cut off when a run was killed
                yield json.loads(line)


def _config_file(run: Run, paths: StudyPaths) -> Path:
    """Write the run's config for the tools; mmengine's own copy is in the folder itself."""
    path = paths.notes(run) / 'config.py'
    text = run.cfg.pretty_text
    if run.processes > 1:
        text += f'# With {run.processes} processes.\n'
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f'{paths.folder(run)} holds a run with other settings; give the same --cfg-options as '
            'for that run or another --work-dir, or move the folder away'
        )
    path.write_text(text)
    return path
