"""The committed studies: tables, plots and pages say what the records of the runs say."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.commands import parse_args
from mmseg_pacbal.apps.study.command import planned
from mmseg_pacbal.apps.study.plan import load_study, plan_runs
from mmseg_pacbal.apps.study.records import read_records
from mmseg_pacbal.apps.study.report import full_report, to_csv
from mmseg_pacbal.apps.study.statistics import summaries
from tests.environments import ROOT

# Run by configs that have changed since.
EARLIER = ('learning_rate', 'loss_scale', 'step_size')
# Of some runs (docs/study_plan.md).
HOOKS = dict(custom_hooks=[dict(type='ChannelsLastHook')])
FOLDERS = sorted({path.parent for path in (ROOT / 'results').glob('*/*/*-seed*.json')})


def named(folder: Path) -> str:
    return '/'.join(folder.parts[-2:])


@pytest.fixture(params=FOLDERS, ids=named)
def folder(request) -> Path:
    return request.param


def test_studies_are_committed():
    assert {named(folder) for folder in FOLDERS} >= {
        'learning_rate/camvid_mini',
        'loss_scale/camvid_mini',
        'table3/camvid_mini',
    }


def test_tables_are_those_of_the_records(folder):
    study = load_study(folder.parent.name, folder.name)
    records = read_records(folder)
    every = [summary for rows in summaries(study, records).values() for summary in rows]
    assert (folder / 'table.csv').read_text() == to_csv(every)
    seeds = {*study.seeds, *(record['seed'] for record in records)}
    assert (folder / 'table.md').read_text() == full_report(study, records, seeds)
    assert (folder / 'plot.png').is_file()


def test_records_are_whole(folder):
    for path in folder.glob('*.json'):
        record = json.loads(path.read_text())
        assert path.stem == f'{record["row"]}-seed{record["seed"]}'
        assert (record['study'], record['dataset']) == (folder.parent.name, folder.name)
        assert {'machine', 'commit', 'date', 'torch'} <= set(record['environment'])


@pytest.mark.parametrize('folder', [f for f in FOLDERS if f.parent.name not in EARLIER], ids=named)
def test_records_are_recognised(folder):
    """The same command, and every study that shares a run, still takes them over."""
    study, records = load_study(folder.parent.name, folder.name), read_records(folder)
    first = [record for record in records if record['seed'] == records[0]['seed']]
    rows = [record['row'] for record in first]
    planned = [plan_runs(study, rows, [first[0]['seed']], options) for options in ({}, HOOKS)]
    known = [{run.fingerprint for run in runs} for runs in zip(*planned, strict=True)]
    assert all(r['fingerprint'] in prints for r, prints in zip(first, known, strict=True))


def readme_commands() -> list[list[str]]:
    """Arguments of the studies in the README's table."""
    text = (ROOT / 'README.md').read_text()
    return [shlex.split(line) for line in re.findall(r'`python tools/run_study.py ([^`]+)`', text)]


@pytest.mark.parametrize('arguments', readme_commands(), ids=' '.join)
def test_commands_of_the_readme_take_the_records_over(arguments):
    """As every study does before it trains: a record of other settings is an error."""
    args = parse_args('run_study', arguments)
    cli.read_options(args)
    study = load_study(args.study, args.dataset)
    folder = ROOT / 'results' / study.name / args.dataset
    runs = planned(args, study, amp=None)
    known = {(record['row'], record['seed']): record for record in read_records(folder)}
    found = [(run, known[run.row, run.seed]) for run in runs if (run.row, run.seed) in known]
    assert len(found) >= len(runs) - 1  # the time on a GPU ended before one
    assert all(record['fingerprint'] == run.fingerprint for run, record in found)


def test_a_page_quotes_or_links_the_tables(folder):
    pages = [path.read_text() for path in (ROOT / 'docs').glob('*.md')]
    table = (folder / 'table.md').read_text().partition('\n\n')[0]
    link = f'](../results/{named(folder)}/table.md)'
    assert any(table in page or link in page for page in pages)
