"""One run of a study: trained, tested and recorded, in this process or on another node."""

import enum
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.device import get_device

from ...openmmlab.engine import last_whole_checkpoint
from ..provenance import provenance
from .claims import ClaimedError, claim
from .plan import Run, Study
from .records import read_record, readable_records, write_record
from .tool_processes import run_tool, stop_tools


class Outcome(enum.Enum):
    """How a run ended; errors are raised instead."""

    FINISHED = 'its record exists'
    CLAIMED = 'another process works on it'
    STOPPED = 'a signal stopped it, and it can be continued'


@dataclass(frozen=True)
class Workplace:
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

    def sibling_records(self) -> list[Path]:
        """The records of all studies on the same data set, this one included."""
        return [*self.results.parent.parent.glob(f'*/{self.results.name}/*.json')]

    def iteration(self, run: Run) -> int:
        """How many iterations of a run are done, according to its logs."""
        if self.record(run).exists():
            return run.iterations
        return max((entry['step'] for entry in _scalars(self.folder(run))), default=0)


def execute(run: Run, place: Workplace, patience: float = 0, gpus: str | None = None) -> Outcome:
    """Train, test and record a run, continuing from where it was stopped.

    Args:
        run: The run to execute.
        place: Its folders.
        patience: How many seconds to wait for another process that works on it.
        gpus: Indices of the GPUs to use, such as ``'0,1'``; None leaves this to the environment.

    Raises:
        ValueError: The folder or the record belongs to a run with other settings.
        RuntimeError: A tool failed; the message says why and names its log.
    """
    notes = place.notes(run)
    notes.mkdir(parents=True, exist_ok=True)
    log = notes / 'log.txt'
    try:
        with claim(place.record(run), notes, patience, lambda: stop_tools(log)) as lock:
            if place.finished(run) or _adopt(run, place):
                return Outcome.FINISHED
            return _train_and_test(run, place, log, lock, gpus)
    except ClaimedError:
        return Outcome.CLAIMED


def _train_and_test(run: Run, place: Workplace, log: Path, lock: int, gpus: str | None) -> Outcome:
    folder = place.folder(run)
    config = _config_file(run, place)
    environment = {} if gpus is None else dict(CUDA_VISIBLE_DEVICES=gpus)

    def ended(tool: str, *arguments: object) -> bool:
        path = place.tools / tool
        return run_tool(path, arguments, log, place.cwd, run.processes, environment, lock)

    if not ended('train.py', config, '--work-dir', folder, '--resume'):
        return Outcome.STOPPED
    if not ended('test.py', config, last_whole_checkpoint(folder), '--work-dir', folder / 'test'):
        return Outcome.STOPPED
    _record(run, place, int((gpus or '0').partition(',')[0]))
    return Outcome.FINISHED


def _adopt(run: Run, place: Workplace) -> bool:
    """Copy the record of the same run from another study on the same data set, if there is one.

    Of several, one measured on the same kind of device, since rounding differs between devices.
    """
    records = readable_records(
        place.sibling_records(), tell=lambda _: None
    )  # the driver has told it
    same = [record for record in records if record['fingerprint'] == run.fingerprint]
    if not same:
        return False
    kind = torch.device(get_device()).type
    record = min(same, key=lambda r: r['environment']['device'].partition(':')[0] != kind)
    write_record(place.record(run), dict(record, study=place.study.name, row=run.row))
    return True


def _record(run: Run, place: Workplace, gpu: int) -> None:
    folder = place.folder(run)
    measured = max((folder / 'test').glob('*/*.json'), key=os.path.getmtime)
    metrics = json.loads(measured.read_text())
    seconds = [entry['time'] for entry in _scalars(folder) if 'loss' in entry]
    record = dict(
        study=place.study.name,
        dataset=place.study.dataset,
        row=run.row,
        seed=run.seed,
        iterations=run.iterations,
        seconds_per_iteration=round(sum(seconds) / len(seconds), 4),
        metrics={k: v for k, v in metrics.items() if k not in ('data_time', 'time')},
        environment=provenance(f'cuda:{gpu}' if torch.cuda.is_available() else 'cpu'),
        fingerprint=run.fingerprint,
    )
    write_record(place.record(run), record)


def _scalars(folder: Path) -> Iterator[dict]:
    """What training logged, from all its starts."""
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            with suppress(json.JSONDecodeError):  # a line that was cut off when a run was killed
                yield json.loads(line)


def _config_file(run: Run, place: Workplace) -> Path:
    """Write the run's config for the tools; mmengine's own copy is in the folder itself."""
    path = place.notes(run) / 'config.py'
    text = run.cfg.pretty_text
    if run.processes > 1:
        text += f'# With {run.processes} processes.\n'
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f'{place.folder(run)} holds a run with other settings; give the same --cfg-options as '
            'for that run or another --work-dir, or move the folder away'
        )
    path.write_text(text)
    return path
