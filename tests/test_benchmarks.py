"""README and docs quote the committed figures; the tools that write them."""

import csv
import importlib
import itertools
import runpy
import sys
import time

import numpy as np
import pytest
import torch

from benchmarks import __main__ as every
from benchmarks import cost_curves, export_runtimes, harness, pyramid_atrous_conv, records, runtimes
from benchmarks.pages import COSTS, PAGES, filled
from benchmarks.records import RESULTS, ROOT, file_name, read, source, span
from mmseg_pacbal.layers.deployment import MIN_SAVED
from mmseg_pacbal.markdown import fill, to_markdown
from mmseg_pacbal.ops.factorized import choose_by_rule

REMAKE = 'run python -m benchmarks.pages'
SUBJECTS = [p.stem for p in (ROOT / 'benchmarks').glob('*.py') if 'def measure(' in p.read_text()]


@pytest.mark.parametrize(
    'page',
    # Every config is read for that of the model zoo.
    [pytest.param(p, marks=[pytest.mark.slow] * p.startswith('configs/')) for p in PAGES],
)
def test_pages_quote_the_committed_figures(page):
    text = (ROOT / page).read_text()
    assert text == filled(page, text), REMAKE


def test_one_command_runs_every_benchmark(monkeypatch, capsys):
    commands = every.commands('cpu') + every.commands('cuda')
    modules = {command.split()[0] for command in commands}
    assert modules == {*SUBJECTS, 'pages'} - {'quantised_layer', 'whole_models'}  # with nncf
    monkeypatch.setattr(sys, 'argv', ['losses', '--help'])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module('benchmarks.losses', run_name='__main__')
    assert ended.value.code == 0
    assert '--repeats' in capsys.readouterr().out


def test_every_record_says_where_it_comes_from():
    paths = list(RESULTS.iterdir())
    assert len(paths) >= 8
    pages = ''.join((ROOT / page).read_text() for page in PAGES)
    for path in paths:
        text = path.read_text()
        for key in ('machine', 'device', 'threads', 'commit', 'date', 'torch', 'repeats'):
            assert f'"{key}":' in text, path.name
        assert len(text.splitlines()) <= 1000, path.name
        subject = path.name.partition('-')[0]
        if subject not in SUBJECTS:  # its table is text that a page keeps
            assert f'(../benchmarks/results/{path.name})' in pages
            continue
        record = read(path)
        rows = importlib.import_module(f'benchmarks.{subject}').table(record).splitlines()
        assert rows[1].startswith('|---|'), path.name
        assert len({line.count('|') for line in rows if line.startswith('|')}) == 1, path.name
        assert record['path'] in rows[-1], path.name


def noise(generator: torch.Generator) -> np.ndarray:
    return 255 * torch.rand(1, 3, 64, 80, generator=generator).numpy()


ON_RUNTIMES = ('export_runtimes', 'quantised_layer', 'whole_models')
WITHOUT_NNCF = dict(INT8_PACKAGES=(), INT8=dict(onnxruntime=runtimes.INT8['onnxruntime']))
SMALL: dict[str, dict] = dict(
    boundary_metric=dict(SHAPE=(1, 40, 50), LARGE=(1, 60, 70)),
    boundary_weight=dict(SIDE=65, SIZES=((33, 33), (40, 60))),
    cost_curves=dict(CHANNELS=(64, 8), SIZE=9, RATES=range(1, 4), PEER_RATES=(1, 3)),
    busy_cores=dict(STARTS=1, CALLS=3, SHAPE=(1, 40, 50), CHANNELS=(64, 8), SIZE=9),
    earlier_build=dict(MAPS=((1, 40, 50),), CLASSES=(2,), SIZE=64, LOGITS=8, MEASURED=(1, 40, 50)),
    export_runtimes=dict(CASES=((8, 4, 5),)),
    losses=dict(CLASSES=(2, 3), SIZE=64, LOGITS=8),
    model_zoo=dict(config_files=lambda: [ROOT / 'configs' / 'pac_bal_demo.py']),
    pac_head=dict(SIZES=(5,)),
    pyramid_atrous_conv=dict(RATES=(1, 3)),
    startup=dict(commands=lambda folder, turn: {'help': ['tools/train.py', '--help']}),
    quantised_layer=dict(CASES=((8, 4, 5),), **WITHOUT_NNCF),
    whole_models=dict(
        samples=lambda *_: [(image, None) for image in harness.fresh(noise)], **WITHOUT_NNCF
    ),
)
OPTIONS = dict(repeats=1, threads=1, device='cpu', sizes='5', batches='1', runtimes='', checkout='')
OPTIONS |= dict(models=str(ROOT / 'configs' / 'pac_bal_demo.py'), data='')


@pytest.mark.slow
@pytest.mark.parametrize('name', SUBJECTS)
def test_subjects_measure_what_their_tables_show(name, monkeypatch, tmp_path):
    subject = importlib.import_module(f'benchmarks.{name}')
    if name in ON_RUNTIMES and 'onnxruntime' not in runtimes.installed():
        pytest.skip('needs mmseg-pacbal[onnx]')
    for constant, value in SMALL[name].items():
        monkeypatch.setattr(subject, constant, value)
    rings = watch_inputs(monkeypatch)
    monkeypatch.setattr(records, 'ROOT', tmp_path)
    monkeypatch.setattr(sys, 'argv', [name])
    defaults = dict(OPTIONS, out=str(tmp_path / f'{name}.json'))
    harness.main(subject.__file__, subject.__doc__, subject.measure, subject.table, **defaults)

    record = read(tmp_path / f'{name}.json')
    table = subject.table(record)
    assert f'CPU time; {record["environment"]["machine"]}' in table
    assert 'nan' not in table
    assert table.count('\n| ') >= 1
    if name in COSTS:
        assert all(subject.summary(record).values())
    assert rings or name in ('busy_cores', 'startup')  # which measure other processes
    for ring in rings:
        assert_fresh(ring)


def watch_inputs(monkeypatch) -> list[list]:
    """The inputs of everything that is timed; what takes none would raise."""
    rings, measure = [], harness.seconds_of

    def watched(run: harness.InTurn, device: str = 'cpu') -> float:
        rings.append(run.inputs)
        return measure(run, device)

    monkeypatch.setattr(harness, 'seconds_of', watched)
    return rings


def assert_fresh(ring: list) -> None:
    """A call gets other values than the calls before it: four inputs, each of them different."""
    assert len(ring) >= harness.FRESH >= 4
    for one, other in itertools.combinations(ring, 2):
        assert not equal(one, other)


def equal(one: object, other: object) -> bool:
    """By the values of all that can differ: tensors, arrays, and what holds them."""
    if isinstance(one, (tuple, list)):
        return all(map(equal, one, other))
    return bool((torch.as_tensor(one) == torch.as_tensor(other)).all())


def test_inputs_come_in_turn():
    seen = []
    run = harness.InTurn(seen.append, harness.fresh(lambda g: torch.rand(1, generator=g).item()))
    for _ in range(harness.FRESH + 1):
        run()
    assert len(set(seen)) == harness.FRESH
    assert seen[0] == seen[-1]


def test_records_are_read_as_they_were_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, 'ROOT', tmp_path)
    monkeypatch.setattr(harness, 'RESULTS', tmp_path / 'results')
    monkeypatch.setattr(harness, 'provenance', lambda device: dict(machine='A CPU', commit='c'))
    monkeypatch.setattr(sys, 'argv', ['one', '--threads', '1'])
    harness.main('one.py', 'What it is.\n\nMore.', lambda args: [dict(a='Ü')], str, device='cpu')
    path = tmp_path / 'results' / 'one-a-cpu-x1.json'
    record = read(path)
    assert path.name == file_name(record)
    assert (record['benchmark'], record['results']) == ('one', [dict(a='Ü')])
    assert (
        record['environment'].items() >= dict(threads=1, repeats=15, clock='process_time').items()
    )
    assert f'written to {path}' in capsys.readouterr().out


def test_auto_loses_at_most_5_percent_in_the_committed_grid():
    path = RESULTS / 'pyramid_atrous_conv_grid-intel-xeon-processor-x2.csv'
    cells = [*csv.DictReader(path.read_text().splitlines()[1:])]
    assert len(cells) == 2 * 2 * 4 * 4 * 3 * 2
    halved = taken = 0
    for cell in cells:
        share = float(cell['factorized p50']) / float(cell['convolutions p50'])
        chosen = choose_by_rule(int(cell['c_in']), cell['rates'].split())
        assert chosen == 'reference' or share <= 1.05, cell
        halved += share < 0.5
        taken += share < 0.5 and chosen != 'reference'
    # And it is no plain refusal: what takes half the time is taken, but for a few small cells.
    assert taken > 0.9 * halved > 90


def test_calls_on_busy_cores_get_fresh_inputs_too():
    from benchmarks import busy_cores

    for run in busy_cores.candidates((1, 20, 30), (64, 8), 9).values():
        assert_fresh(run.inputs)
        run()


@pytest.mark.parametrize('path', [*RESULTS.glob('export_runtimes-*')], ids=lambda path: path.stem)
def test_exports_lose_at_most_5_percent_to_five_convolutions(path):
    for case in read(path)['results']['cases']:
        chosen = choose_by_rule(case['c_in'], range(5), MIN_SAVED[case['runtime']])
        assert chosen == 'reference' or export_runtimes.faster(case) >= 0.95, case
        # And what is much faster is taken.
        assert chosen == 'factorized' or export_runtimes.faster(case) <= 1.5, case


def test_fill_replaces_one_block_and_leaves_the_rest():
    page = 'above\n<!-- a -->\nold\nlines\n<!-- end -->\nbetween\n<!-- b -->\nold\n<!-- end -->\n'
    expected = page.replace('old\nlines', 'new')
    assert fill(page, dict(a='new')) == expected
    assert fill(expected, dict(a='new')) == expected


@pytest.mark.parametrize('page', ['', '<!-- a -->\n<!-- end -->\n<!-- a -->\n\n<!-- end -->\n' * 2])
def test_fill_names_a_block_without_its_place(page):
    with pytest.raises(ValueError, match='<!-- a --> once'):
        fill(page, dict(a='new'))


def test_tables_by_hand():
    assert to_markdown(['x', 'y'], [['1', '2']], left=1) == '| x | y |\n|---|---:|\n| 1 | 2 |'
    assert span([1.04, 0.98, 1.01], 2) == '0.98 to 1.04'
    assert span([1.001, 1.002], 2) == '1.00'
    assert harness.quantiles([1.0, 2.0, 4.0], (50, 75)) == dict(p50=2.0, p75=3.0)


def test_one_thread_on_a_cpu_is_timed_in_cpu_seconds(monkeypatch):
    monkeypatch.setattr(harness.torch, 'get_num_threads', lambda: 1)
    assert harness.clock('cpu') == 'process_time'
    assert harness.clock('cuda') == 'perf_counter'
    times = harness.measure_times(dict(sleep=lambda: time.sleep(0.2)), repeats=1)
    assert times['sleep']['p50'] < 0.1  # it waits, which costs no CPU time
    monkeypatch.setattr(harness.torch, 'get_num_threads', lambda: 2)
    assert harness.clock('cpu') == 'perf_counter'


def test_source_says_which_clock_and_how_busy():
    place = dict(machine='A CPU', torch='2', commit='c', date='d')
    assert source(dict(environment=place)) == '\n\nMedians; A CPU, torch 2, commit c, d.'
    place |= dict(clock='process_time', load=0.5)
    expected = '\n\nMedians of CPU time; A CPU, load 0.5, torch 2, commit c, d ([record](../p)).'
    assert source(dict(environment=place, path='p')) == expected


def test_squares_of_one_class_each():
    generator = torch.Generator().manual_seed(0)
    label = harness.blocks(generator, 5, (2, 40, 50), side=16)
    assert label.shape == (2, 40, 50)
    assert set(label.unique().tolist()) == set(range(5))
    assert (label[:, :16, :16] == label[:, :1, :1]).all()
    assert (harness.blocks(generator, 5, (2, 40, 50), side=16, void=1) == 255).all()


def test_forms_of_the_pyramid_are_compared_first(monkeypatch):
    (x, *_), weight = pyramid_atrous_conv.inputs((6, 4), 9, 2, 'cpu', torch.float32)
    assert list(pyramid_atrous_conv.candidates(x, weight)) == ['factorized', 'five convolutions']
    form = pyramid_atrous_conv.pyramid

    def wrong(rates: tuple, backend: str) -> object:
        return form(rates if backend == 'reference' else (1, 1), backend)

    monkeypatch.setattr(pyramid_atrous_conv, 'pyramid', wrong)
    with pytest.raises(ValueError, match='the forms of the pyramid differ by'):
        pyramid_atrous_conv.candidates(x, weight)
    monkeypatch.setattr(cost_curves, 'pyramid', wrong)
    monkeypatch.setattr(cost_curves, 'CHANNELS', (6, 4))
    with pytest.raises(ValueError, match='4 rates: ours and its peer differ by'):
        cost_curves.candidates(4, pyramid_atrous_conv.inference)


def test_curve_of_the_rates_by_hand():
    def row(at: int, form: str, seconds: float, **other: str) -> dict:
        curve = dict(subject='PAC, forward+backward', axis='rates') | other
        return dict(curve, at=at, form=form, p50=seconds, memory=1e6 * seconds)

    points = (1, 'ours', 0.5), (2, 'ours', 1.0), (2, 'peer', 20.0)
    rows = [*(row(*point) for point in points), row(65, 'ours', 3.0, subject='map', axis='side')]
    place = dict(machine='A CPU', torch='2', commit='c', date='d')
    record = dict(environment=place, results=rows)
    assert '\n| PAC, forward+backward | 0.50 | 1.00 |\n' in cost_curves.table(record)
    panels = cost_curves.picture(record).axes
    lines = [[line.get_xydata().tolist() for line in panel.get_lines()] for panel in panels]
    assert lines == [[[[1, 500], [2, 1000]], [[2, 20_000]]], [[[1, 0.5], [2, 1]], [[2, 20]]]]
