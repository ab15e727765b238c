"""Files that lie beside records and hold none."""

import json
from pathlib import Path

import pytest

from mmseg_pacbal.apps.study import DevicePool, StudyRunner, read_records
from tests.apps.study.stand_ins import plan, workplace, write_tools

GOOD = dict(
    row='base',
    seed=0,
    metrics=dict(mIoU=50.0),
    environment=dict(device='cpu'),
    fingerprint='one',
)
# Each beside the sentence that names what is wrong with it.
FOREIGN = {
    'list': ('[1, 2]', 'its content is of type list, not a mapping'),
    'number': ('3', 'its content is of type int, not a mapping'),
    'null': ('null', 'its content is of type NoneType, not a mapping'),
    'empty': ('', 'cannot be read as a record: Expecting value'),
    'half': (json.dumps(GOOD)[:40], 'cannot be read as a record'),
    'binary': (b'\x89PNG\xff', 'cannot be read as a record'),
    'deep': ('[' * 200_000, 'cannot be read as a record'),
    'other_schema': ('{"images": [], "annotations": []}', 'row must be a str, but got None'),
    'no_device': (json.dumps(GOOD | dict(environment={})), 'its environment names no device'),
    'metrics': (json.dumps(GOOD | dict(metrics=[50.0])), 'metrics must be a dict'),
    'texts': (json.dumps(GOOD | dict(metrics=dict(mIoU='50'))), "metric 'mIoU' is not a number"),
    'fingerprint': (json.dumps(GOOD | dict(fingerprint=None)), 'fingerprint must be a str'),
}


def lay_out(folder: Path) -> None:
    """Every foreign file, a folder, a link to nowhere, a YAML file and a lease."""
    folder.mkdir(parents=True)
    for name, (content, _) in FOREIGN.items():
        content = content.encode() if isinstance(content, str) else content
        (folder / f'{name}-seed0.json').write_bytes(content)
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
        words = FOREIGN.get(name, ('', 'cannot be read as a record'))[1]
        assert words in line


def test_a_run_goes_on_beside_what_is_no_record(tmp_path, capsys):
    lay_out(tmp_path / 'results' / 'sibling' / 'data')
    place = workplace(tmp_path, write_tools(tmp_path / 'tools', seconds=0))
    runner = StudyRunner(plan('base'), place, DevicePool([None]))
    runner.start()
    while runner.wait(0.1):
        pass
    runner.stop()
    assert runner.failed == []
    assert runner.runs_finished() == 1
    assert capsys.readouterr().out.count('it is ignored') == len(FOREIGN) + 2  # each once


@pytest.mark.parametrize('name', FOREIGN)
def test_what_stands_in_the_place_of_a_record_is_never_overwritten(tmp_path, name):
    """It is refused by name: it may be somebody's."""
    place = workplace(tmp_path, write_tools(tmp_path / 'tools', seconds=0))
    (run,) = plan('base')
    place.results.mkdir(parents=True)
    content = FOREIGN[name][0]
    content = content.encode() if isinstance(content, str) else content
    place.record(run).write_bytes(content)
    with pytest.raises(ValueError, match=r'base-seed0\.json (is not the|cannot be read as a) rec'):
        StudyRunner([run], place, DevicePool([None])).start()
    assert place.record(run).read_bytes() == content
