"""Files that lie beside records and hold none."""

import json
from pathlib import Path

import pytest

from mmseg_pacbal.apps.study.records import read_records
from mmseg_pacbal.apps.study.runner import DevicePool, StudyRunner
from tests.apps.study.stand_ins import plan, run_all, workplace, write_tools

GOOD = dict(
    row='base',
    seed=0,
    metrics=dict(mIoU=50.0),
    environment=dict(device='cpu'),
    fingerprint='one',
)
NO_RECORD, UNREADABLE = 'is not the record of a run', 'cannot be read as a record'
# Each beside what is said of it.
FOREIGN = dict(
    list=('[1, 2]', NO_RECORD),
    number=('3', NO_RECORD),
    null=('null', NO_RECORD),
    empty=('', UNREADABLE),
    half=(json.dumps(GOOD)[:40], UNREADABLE),
    binary=(b'\x89PNG\xff', UNREADABLE),
    deep=('[' * 200_000, UNREADABLE),
    other_schema=('{"images": [], "annotations": []}', NO_RECORD),
    no_device=(json.dumps(GOOD | dict(environment={})), NO_RECORD),
    metrics=(json.dumps(GOOD | dict(metrics=[50.0])), NO_RECORD),
    texts=(json.dumps(GOOD | dict(metrics=dict(mIoU='50'))), NO_RECORD),
    fingerprint=(json.dumps(GOOD | dict(fingerprint=None)), NO_RECORD),
    seed=(json.dumps(GOOD | dict(seed='0')), NO_RECORD),
)


def write(path: Path, name: str) -> bytes:
    content = FOREIGN[name][0]
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path.read_bytes()


def lay_out(folder: Path) -> None:
    """Every foreign file, a folder, a link to nowhere, a YAML file and a lease."""
    folder.mkdir(parents=True)
    for name in FOREIGN:
        write(folder / f'{name}-seed0.json', name)
    (folder / 'folder-seed0.json').mkdir()
    (folder / 'link-seed0.json').symlink_to(folder / 'nowhere')
    (folder / 'study.yml').write_text('baseline: base')
    (folder / 'base-seed1.lease').write_text('node2')


def test_a_report_names_what_is_no_record_and_goes_on(tmp_path, capsys):
    folder = tmp_path / 'results'
    lay_out(folder)
    (folder / 'base-seed0.json').write_text(json.dumps(GOOD))
    assert read_records(folder) == [GOOD]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FOREIGN) + 2
    for name in (*FOREIGN, 'folder', 'link'):
        (line,) = (line for line in lines if f'/{name}-seed0.json ' in line)
        assert line.endswith('; it is ignored')
        assert FOREIGN.get(name, ('', UNREADABLE))[1] in line


def test_a_run_goes_on_beside_what_is_no_record(tmp_path, capsys):
    lay_out(tmp_path / 'results' / 'sibling' / 'data')
    write_tools(tmp_path)
    runner = run_all(StudyRunner(plan('base'), workplace(tmp_path), DevicePool([None])))
    assert (runner.failed, runner.runs_finished()) == ([], 1)
    assert capsys.readouterr().out.count('it is ignored') == len(FOREIGN) + 2  # each once


@pytest.mark.parametrize('name', FOREIGN)
def test_what_stands_in_the_place_of_a_record_is_never_overwritten(tmp_path, name):
    """It is refused by name: it may be somebody's."""
    place = workplace(tmp_path)
    (run,) = plan('base')
    place.results.mkdir(parents=True)
    content = write(place.record(run), name)
    with pytest.raises(ValueError, match=rf'base-seed0\.json {FOREIGN[name][1]}'):
        StudyRunner([run], place, DevicePool([None])).start()
    assert place.record(run).read_bytes() == content
