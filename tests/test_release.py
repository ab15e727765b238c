"""What a release consists of beside the code: workflows, forms, citation, changelog."""

import re
import runpy
import subprocess
import sys

import pytest
import yaml

from mmseg_pacbal import __version__
from tests.environments import ROOT

WORKFLOWS = {p.stem: yaml.safe_load(p.read_text()) for p in (ROOT / '.github').glob('*/*.yml')}
FORMS = {name: WORKFLOWS.pop(name) for name in ('bug', 'idea', 'config')}
PROJECT = (ROOT / 'pyproject.toml').read_text()
CHECK_TAG = runpy.run_path(str(ROOT / '.ci' / 'check_tag.py'))
SECTIONS = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']


def commands(workflow: str) -> list[str]:
    """What a workflow runs, one command for each combination of its matrix."""
    found = []
    for job in WORKFLOWS[workflow]['jobs'].values():
        matrix = job.get('strategy', {}).get('matrix', {})
        for entry in matrix.get('include', [{}]):
            for step in job.get('steps', []):
                found += [with_matrix(line, entry) for line in step.get('run', '').splitlines()]
    return list(dict.fromkeys(found))


def with_matrix(line: str, entry: dict) -> str:
    return re.sub(r'\$\{\{ matrix\.(\w+) \}\}', lambda m: entry.get(m[1], ''), line).strip()


@pytest.mark.parametrize('name', WORKFLOWS)
def test_what_a_workflow_runs_exists(name):
    for command in commands(name):
        words = [word.strip('"') for word in command.split()]
        paths = {w.partition('=')[2] or w for w in words if re.match(r'^[.\w=-]+/[\w./]+$', w)}
        assert [path for path in paths if not (ROOT / path).exists()] == [], command
        extras = {e for names in re.findall(r'\.\[([\w,]+)\]', command) for e in names.split(',')}
        assert [e for e in extras if not re.search(rf'^{e} = \[', PROJECT, re.MULTILINE)] == []


def test_tests_run_ci_and_every_python():
    assert 'bash .ci/run' in commands('tests')
    entries = WORKFLOWS['tests']['jobs']['versions']['strategy']['matrix']['include']
    stated = set(re.findall(r'Python :: (3\.\d+)', PROJECT))
    assert {entry['python'] for entry in entries} == stated
    oldest = re.search(r'"torch>=([\d.]+)"', PROJECT)[1]
    assert any(entry['torch'].startswith(f'{oldest}.') for entry in entries)
    assert set(WORKFLOWS['publish']['jobs']['install']['strategy']['matrix']['python']) == stated


def test_publishing_waits_for_tests_and_compares_the_tag():
    publish = WORKFLOWS['publish']
    assert publish[True] == {'push': {'tags': ['v*']}}  # YAML reads `on` as a truth value
    jobs = publish['jobs']
    assert jobs['publish']['needs'] == ['tests', 'install'] and jobs['install']['needs'] == 'build'
    build = [step.get('run') for step in jobs['build']['steps'] if 'run' in step]
    assert build[0] == 'python .ci/check_tag.py "$GITHUB_REF_NAME"'
    assert build[-1] == 'twine check --strict dist/*'
    assert jobs['publish']['environment']['name'] == 'pypi'
    last = jobs['publish']['steps'][-1]
    assert last == {'uses': 'pypa/gh-action-pypi-publish@release/v1'}  # no password, no token


@pytest.mark.parametrize('name', WORKFLOWS)
def test_workflow_may_do_little_and_names_versions(name):
    workflow = WORKFLOWS[name]
    assert workflow['permissions'] in ({}, {'contents': 'read'})
    writing = {
        (job, right)
        for job, content in workflow['jobs'].items()
        for right, value in content.get('permissions', {}).items()
        if value == 'write'
    }
    expected = {
        'publish': {('publish', 'id-token')},
        'docs': {('deploy', 'pages'), ('deploy', 'id-token')},
    }
    assert writing == expected.get(name, set())
    for job in workflow['jobs'].values():
        for step in job.get('steps', []):
            action = step.get('uses', 'of/ours@v1')
            assert re.fullmatch(r'[\w./-]+@(v\d+|release/v\d+)', action), action
            checkout = action.startswith('actions/checkout')
            assert not checkout or step['with'] == {'persist-credentials': False}


@pytest.mark.parametrize(
    ('tag', 'file', 'old', 'new', 'problem'),
    [
        ('v1.2.3', 'CITATION.cff', '', '', None),
        ('1.2.3', 'CITATION.cff', '', '', 'the tag must be v1.2.3'),
        ('v1.2.30', 'CITATION.cff', '', '', 'the tag must be v1.2.3'),
        ('v1.2.3', 'CITATION.cff', '1.2.3', '1.2.2', 'CITATION.cff must be 1.2.3, but is 1.2.2'),
        ('v1.2.3', 'CITATION.cff', 'version: 1.2.3', '', 'must be 1.2.3, but is missing'),
        ('v1.2.3', 'CHANGELOG.md', '2027-01-02', 'unreleased', '"## 1.2.3 - YEAR-MONTH-DAY"'),
    ],
)
def test_what_may_be_published(tag, file, old, new, problem, tmp_path):
    (tmp_path / 'mmseg_pacbal').mkdir()
    files = {
        'mmseg_pacbal/version.py': "__version__ = '1.2.3'\n",
        'CITATION.cff': 'title: a\nversion: 1.2.3\n',
        'CHANGELOG.md': '# Changelog\n\n## 1.2.3 - 2027-01-02\n',
    }
    files[file] = files[file].replace(old, new) if old else files[file]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = CHECK_TAG['problems'](tag, tmp_path)
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_check_of_a_tag_ends_with_its_problems():
    command = [sys.executable, ROOT / '.ci' / 'check_tag.py', 'v0']
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f'error: the tag must be v{__version__}')


def test_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['cff-version'] == '1.2.0'
    assert citation['version'] == __version__
    assert f'license = "{citation["license"]}"' in PROJECT
    assert {'message', 'title', 'authors'} <= citation.keys()
    (paper,) = citation['references']
    assert {'type', 'title', 'authors'} <= paper.keys()
    notice = ' '.join((ROOT / 'NOTICE').read_text().split())
    (author,) = paper['authors']
    assert f'{author["given-names"]} {author["family-names"]} (POSTECH)' in notice
    assert paper['title'] in notice and 'doi' not in paper


def test_changelog_keeps_its_form():
    _, *versions = (ROOT / 'CHANGELOG.md').read_text().split('\n## ')
    heads = [version.partition('\n')[0] for version in versions]
    dated = r'\d+\.\d+\.\d+(rc\d+)? - (\d{4}-\d\d-\d\d|unreleased)|Unreleased'
    assert [head for head in heads if not re.fullmatch(dated, head)] == []
    assert heads[0] == 'Unreleased' or heads[0].startswith(f'{__version__} - ')
    for version in versions:
        _, *sections = version.rstrip('\n').split('\n### ')
        names = [section.partition('\n')[0] for section in sections]
        assert names == [name for name in SECTIONS if name in names]
        for section in sections:
            _, blank, *lines = section.rstrip('\n').split('\n')
            assert blank == '' and lines[0].startswith('- ')
            assert [line for line in lines if not line.startswith(('- ', '  '))] == []


def test_forms_ask_for_the_doctor():
    for form in (FORMS['bug'], FORMS['idea']):
        (field,) = [part for part in form['body'] if part.get('id') == 'doctor']
        assert '`python -m mmseg_pacbal.doctor`' in field['attributes']['description']
