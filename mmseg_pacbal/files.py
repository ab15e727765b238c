"""Files of trainings, looked for without anything that takes seconds to import."""

import os
import re
from pathlib import Path


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Training checkpoints in a folder, newest first by the numbers in their names."""
    paths = Path(work_dir).glob('*.pth')
    matches = {path: re.fullmatch(r'(?!best_).*_(\d+)', path.stem) for path in paths}
    numbers = {path: int(number[1]) for path, number in matches.items() if number}
    return sorted(numbers, key=lambda path: numbers[path], reverse=True)


def require_checkpoint(path: str) -> None:
    """Raise FileNotFoundError unless a checkpoint is a file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'checkpoint {path} does not exist; give the path of a checkpoint, such as '
            'work_dirs/pac_bal_demo/iter_600.pth'
        )
