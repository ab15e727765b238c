"""Which checkpoint a run continues from."""

import re
import warnings
from pathlib import Path

from mmengine.runner import Runner

from .checkpoint_files import is_intact


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Training checkpoints in a folder, newest first by the numbers in their names."""
    numbers = {}
    for path in Path(work_dir).glob('*.pth'):
        number = re.search(r'_(\d+)$', path.stem)
        if number and not path.name.startswith('best_'):
            numbers[path] = int(number[1])
    return sorted(numbers, key=lambda path: numbers[path], reverse=True)


def latest_intact_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint to continue from; None if there is none.

    It is the one that the file ``last_checkpoint`` names. If that is missing or damaged, the newest
    intact one in the folder is used instead, and a printed line says so.

    Raises:
        ValueError: There are checkpoints, but all of them are damaged.
    """
    damaged: list[str] = []
    for path in dict.fromkeys([*_named(Path(work_dir)), *find_checkpoints(work_dir)]):
        if is_intact(path):
            if damaged:
                print(
                    f'{" and ".join(damaged)} missing, cut off or damaged: continuing from {path}'
                )
            return path
        damaged.append(str(path))
    if damaged:
        raise ValueError(
            f'no checkpoint in {work_dir} is intact: {" and ".join(damaged)} missing, cut off or '
            'damaged; copy an intact one there, or start a new run in another work_dir'
        )
    return None


def last_whole_checkpoint(work_dir: str | Path) -> Path | None:
    """Earlier name of :func:`latest_intact_checkpoint`."""
    warnings.warn(
        'last_whole_checkpoint is named latest_intact_checkpoint now; version 2.0 removes the '
        'earlier name',
        DeprecationWarning,
        stacklevel=2,
    )
    return latest_intact_checkpoint(work_dir)


def resume_from(runner: Runner, path: str | Path) -> None:
    """Make a runner that has not started continue from a checkpoint."""
    # Not through its config: a copy of that is saved in the work dir, and a later run that is
    # started with the copy must not start from this checkpoint.
    runner._resume, runner._load_from = True, str(path)


def _named(work_dir: Path) -> list[Path]:
    """The checkpoint that ``last_checkpoint`` names, in this folder if it is there; empty if none.

    In a copied folder it has the path of the original, which may be another run by now.
    """
    file = work_dir / 'last_checkpoint'
    name = file.read_text().strip() if file.is_file() else ''
    if not name:
        return []
    own = work_dir / Path(name).name
    return [own if own.is_file() or not Path(name).is_file() else Path(name)]
