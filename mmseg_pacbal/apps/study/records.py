"""Records of finished runs, JSON files of which a study's folder holds one for each run."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from ...errors import one_sentence

# What a record must say for a comparison or to be taken over by another study, and as which type.
_NEEDED = dict(row=str, seed=int, metrics=dict, environment=dict, fingerprint=str)


def read_record(path: Path) -> dict:
    """The record in a file.

    Raises:
        ValueError: The file holds no record of a run; the message names it and says why.
    """
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f'{path} cannot be read as a record: {one_sentence(error)}') from error
    lacking = _lacking(record)
    if lacking:
        raise ValueError(f'{path} is not the record of a run: {lacking}')
    return record


def read_records(folder: Path) -> list[dict]:
    """The records in a study's folder; files that hold none are named and ignored."""
    return readable_records(folder.glob('*-seed*.json'))


def readable_records(paths: Iterable[Path], tell: Callable[[str], object] = print) -> list[dict]:
    """The records in files; of a file that holds none, ``tell`` is called with a sentence."""
    records = []
    for path in sorted(paths):
        try:
            records.append(read_record(path))
        except ValueError as error:
            tell(f'{error}; it is ignored')
    return records


def write_record(path: Path, record: dict) -> None:
    """Write a record so that no reader sees half of it."""
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(record, indent=1) + '\n')
    partial.replace(path)


def _lacking(record: object) -> str | None:
    if not isinstance(record, dict):
        return f'its content is of type {type(record).__name__}, not a mapping'
    for key, kind in _NEEDED.items():
        if not isinstance(record.get(key), kind):
            return f'{key} must be a {kind.__name__}, but got {record.get(key)!r:.50}'
    if not isinstance(record['environment'].get('device'), str):
        return 'its environment names no device'
    wrong = [k for k, v in record['metrics'].items() if not isinstance(v, (int, float))]
    return f'metric {wrong[0]!r} is not a number' if wrong else None
