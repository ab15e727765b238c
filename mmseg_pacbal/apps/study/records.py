"""Records of finished runs, JSON files of which a study's folder holds one for each run."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from ...errors import one_sentence
from .plan import Run


def read_record(path: Path) -> dict:
    """The record in a file; ValueError, which names the file, if it holds none."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f'{path} cannot be read as a record: {one_sentence(error)}') from error
    match record:
        case {
            'row': str(),
            'seed': int(),
            'fingerprint': str(),
            'environment': {'device': str()},
            'metrics': dict(metrics),
        } if all(isinstance(value, (int, float)) for value in metrics.values()) and isinstance(
            record.get('options', {}), dict
        ):
            return record
    raise ValueError(
        f'{path} is not the record of a run, which has row, seed, fingerprint, metrics in numbers, '
        'and an environment with its device'
    )


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


def is_same_data(record: dict, run: Run) -> bool:
    """Whether a record is of the data that a run reads; also if either does not know its data."""
    return not run.data or record.get('data', run.data) == run.data


def write_record(path: Path, record: dict) -> None:
    """Write a record, without options and data if it has none; no reader sees half of it."""
    record = {k: v for k, v in record.items() if v or k not in ('options', 'data')}
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(record, indent=1) + '\n')
    partial.replace(path)
