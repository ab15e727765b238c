import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from mmseg_pacbal.apps.study.command import build_heads, list_runs, list_settings, planned
from mmseg_pacbal.apps.study.execution import StudyPaths
from mmseg_pacbal.apps.study.plan import Row, Run, Study, load_study, plan_runs
from mmseg_pacbal.configs import config

STUDIES = Path(config('pac_bal_voc.py')).parent / 'studies'
ROWS = dict(
    a=dict(config='deeplabv3_{dataset}.py', reported=70.0),
    b=dict(
        config='bal_{dataset}.py',
        options={'model.decode_head.loss_decode.beta': 0.25},
        reported=70.5,
    ),
)


@pytest.fixture
def study(tmp_path) -> Study:
    path = tmp_path / 'mine.yml'
    path.write_text(yaml.safe_dump(dict(baseline='a', rows=ROWS)))
    return load_study(str(path), 'camvid_mini')


def test_shipped_table_3():
    study = load_study('table3', 'camvid')
    assert (study.name, study.dataset, study.baseline) == ('table3', 'camvid', 'deeplabv3')
    assert [row.config for row in study.rows.values()] == [f'{n}_camvid.py' for n in study.rows]
    reported = {name: study.reported_difference(name) for name in study.rows}
    assert reported == dict(deeplabv3=None, pac=0.29, bal=0.96, pac_bal=1.25)


def test_tables_1_and_2_report_differences():
    tables = [load_study(name, 'voc') for name in ('table1', 'table2')]
    assert [len(study.rows) for study in tables] == [1 + 14, 1 + 7]
    best = tables[0].rows['bal_gaussian_d4_k35_s3_b05']
    assert best.config == 'bal_voc.py'
    assert set(best.takes.values()) == {'ablation/bal_gaussian_d4_k35_s3_b05.py'}
    assert tables[0].reported_difference(best.name) == 0.96
    assert tables[1].reported_difference('pac_r1-3-5-7-9_sum') == 0.29


@pytest.mark.parametrize('name', ['table3', *sorted(p.stem for p in STUDIES.glob('*.yml'))])
def test_every_row_of_a_shipped_study_parses(name):
    """tests/test_ablation.py has Tables 1 and 2."""
    pretrained = name.startswith(('pretrained', 'folder'))
    study = load_study(name, 'camvid_lite0' if pretrained else 'camvid_mini')
    runs = plan_runs(study, study.rows, [0], {})
    assert [run.row for run in runs] == list(study.rows)
    fingerprints = [run.fingerprint for run in runs]
    assert len({*fingerprints}) == len(runs)
    for run in runs:
        build_heads(run.cfg)
    assert [run.fingerprint for run in runs] == fingerprints


@pytest.mark.parametrize(
    ('setting', 'sentence'),
    [
        (dict(kernel='quadric'), "row b: kernel must be one of ('gaussian', 'linear'), but got"),
        (dict(kernal='linear'), "no argument kernal (got 'linear'); did you mean kernel?"),
        (dict(in_index=[0, 1]), 'row b: model.decode_head has in_index=[0, 1], in_channels='),
    ],
    ids=str,
)
def test_a_row_that_builds_no_head_is_named_before_anything_runs(tmp_path, setting, sentence):
    ((name, value),) = setting.items()
    part = 'model.decode_head' if name == 'in_index' else 'model.decode_head.loss_decode'
    row = dict(config='bal_{dataset}.py', options={f'{part}.{name}': value})
    path = tmp_path / 'mine.yml'
    path.write_text(yaml.safe_dump(dict(baseline='a', rows=dict(a=ROWS['a'], b=row))))
    args = Namespace(rows=None, seeds=None, cfg_options=None, processes=1)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        planned(args, load_study(str(path), 'camvid_mini'), amp=None)


def test_the_recipe_search_tries_what_the_plan_says():
    pytest.importorskip('timm')
    rows = {}
    for step in ('schedule', 'details'):
        study = load_study(f'pretrained_{step}', 'camvid_lite0')
        assert study.seeds == (0,)
        for run in plan_runs(study, study.rows, study.seeds, {}):
            cfg = run.cfg
            assert run.iterations == cfg.param_scheduler[-1].end
            rows[run.row] = (
                cfg.optim_wrapper.optimizer.lr,
                run.iterations,
                cfg.model.backbone.bn_momentum,
                cfg.model.decode_head.norm_cfg.momentum,
                [hook.type for hook in cfg.custom_hooks],
                cfg.train_dataloader.dataset.pipeline[5].prob,
            )
    chosen = rows['momentum0.1'][:2]
    expected = {
        f'lr{rate}_{length}': (rate, length, 0.1, 0.1, [], 0.0)
        for rate in (0.005, 0.01, 0.02)
        for length in (400, 800, 1600)
    }
    for name, *norm in (
        ('momentum0.1', 0.1, 0.1, []),
        ('momentum0.01', 0.01, 0.01, []),
        ('frozen', 0.1, 0.1, ['FrozenStatisticsHook']),
    ):
        expected[name] = (*chosen, *norm, 0.0)
        expected[f'{name}_photometric'] = (*chosen, *norm, 1.0)
    assert rows == expected


def test_a_dry_run_lists_what_is_there_and_what_differs(study, tmp_path):
    runs = plan_runs(study, study.rows, [0, 1], {'max_iters': 7})
    results = tmp_path / 'results' / 'mine' / 'camvid'
    paths = StudyPaths(study, tmp_path / 'work', results, tmp_path, tmp_path)
    record = dict(seed=0, metrics={}, environment=dict(device='cpu'))
    for run, name in ((runs[0], 'mine'), (runs[1], 'other')):
        path = results.parents[1] / name / 'camvid' / f'{run.name}.json'
        path.parent.mkdir(parents=True)
        made = dict(record, study=name, row=run.row, fingerprint=run.fingerprint)
        path.write_text(json.dumps(made))
    log = tmp_path / 'work' / 'a-seed1' / 'now' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"step": 5}\n')
    assert [line.strip('| ').split(' | ') for line in list_runs(runs, paths).splitlines()[2:]] == [
        ['a', '0', 'deeplabv3_camvid_mini.py', '7', 'finished'],
        ['b', '0', 'bal_camvid_mini.py', '7', 'as in other'],
        ['a', '1', 'deeplabv3_camvid_mini.py', '7', '5 iterations done'],
        ['b', '1', 'bal_camvid_mini.py', '7', '0 iterations done'],
    ]
    (line,) = list_settings(runs, runs[0]).splitlines()
    assert line.startswith("b, unlike a: model.decode_head.loss_decode.type='BoundaryAwareLoss'")
    assert ', model.decode_head.loss_decode.beta=0.25' in line
    assert 'without model.decode_head.loss_decode.use_sigmoid' in line
    assert 'seed' not in line


@pytest.mark.parametrize(
    ('options', 'settings', 'kept'),
    [
        ({}, {}, {}),
        ({'data_root': 'x', 'work_dir': 'y', 'train_cfg.val_interval': 7}, {}, {}),
        ({'max_iters': 7, 'test_dataloader.dataset': dict(data_root='x', indices=2)}, {},
         {'max_iters': 7, 'test_dataloader.dataset': dict(indices=2)}),
        ({}, dict(processes=2, amp='cpu'), {'--processes': 2, '--amp': 'cpu'}),
    ],
)  # fmt: skip
def test_runs_keep_the_options_that_can_change_a_score(study, options, settings, kept):
    runs = plan_runs(study, study.rows, [0], options, **settings)
    assert [run.options for run in runs] == [kept] * 2


def test_an_option_replaces_a_dict_in_all_rows(study):
    """mmengine removes ``_delete_`` from the options that it merges."""
    optimizer = dict(_delete_=True, type='Adam', lr=0.1)
    runs = plan_runs(study, study.rows, [0], {'optim_wrapper.optimizer': optimizer})
    assert [run.cfg.optim_wrapper.optimizer for run in runs] == [dict(type='Adam', lr=0.1)] * 2


def test_runs_go_seed_by_seed_and_options_reach_them(study, capsys):
    runs = plan_runs(study, study.rows, [3, 4], {'max_iters': 7})
    assert [run.name for run in runs] == ['a-seed3', 'b-seed3', 'a-seed4', 'b-seed4']
    assert all(run.iterations == run.cfg.param_scheduler[-1].end == 7 for run in runs)
    assert capsys.readouterr().out.splitlines().count('config: train_cfg.max_iters = 7') == 1
    assert [run.cfg.randomness.seed for run in runs] == [3, 3, 4, 4]
    assert runs[1].cfg.model.decode_head.loss_decode.beta == 0.25
    assert [e.type for e in runs[0].cfg.test_evaluator] == ['IoUMetric', 'BoundaryMetric']


@pytest.mark.parametrize('own', ["dict(type='BoundaryMetric', widths=(2,))", ''])
def test_evaluators_that_a_config_lists_stay(tmp_path, own):
    path = tmp_path / 'mine.py'
    path.write_text(
        "_base_ = __import__('mmseg_pacbal').config('bal_camvid.py')\n"
        f"test_evaluator = [dict(type='IoUMetric'), {own}]\n"
    )
    study = Study('mine', 'camvid', 'a', dict(a=Row('a', str(path))))
    evaluator = plan_runs(study, ['a'], [0], {})[0].cfg.test_evaluator
    assert [metric.type for metric in evaluator] == ['IoUMetric', 'BoundaryMetric']
    assert evaluator[1].get('widths') == ((2,) if own else None)


@pytest.mark.parametrize(
    ('option', 'decides'),
    [
        ({}, False),
        ({'data_root': 'elsewhere'}, False),
        ({'train_dataloader.num_workers': 7}, False),
        ({'train_cfg.val_interval': 7}, False),
        ({'default_hooks.logger.interval': 7}, False),
        ({'work_dir': 'elsewhere'}, False),
        ({'max_iters': 7}, True),
        ({'optimizer.lr': 0.011}, True),
        ({'crop_size': (33, 33)}, True),
        ({'train_dataloader.batch_size': 2}, True),
        ({'model.decode_head.dropout_ratio': 0.2}, True),
        ({'train_cfg.type': 'IterBasedTrainLoop'}, True),  # other random numbers
        ({'test_dataloader.dataset.data_prefix.img_path': 'images/test'}, True),
    ],
    ids=str,
)
def test_fingerprint_holds_what_decides(study, option, decides):
    first, other = (plan_runs(study, ['a'], [0], given)[0] for given in ({}, option))
    assert (first.fingerprint != other.fingerprint) == decides


def test_unknown_study_and_row(study, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'no study .*nothing\.yml; give table1, .*learning_rate'
    ):
        load_study('nothing', 'voc')
    with pytest.raises(FileNotFoundError, match=r'no study .*none\.yml; give'):
        load_study(str(tmp_path / 'none.yml'), 'voc')
    for seeds in ([0, 0], [-1]):
        with pytest.raises(ValueError, match='seeds must be 0 or more, each given once') as caught:
            plan_runs(study, ['a'], seeds, {})
        assert str(seeds) in str(caught.value)
    with pytest.raises(ValueError, match=r"no row 'c'; it has a, b"):
        plan_runs(study, ['c'], [0], {})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(baseline='c'), "baseline 'c' is not one of its rows, a, b"),
        (dict(rows=dict(a=dict(options={}))), 'config'),
        (dict(rows=dict(a=dict(config='a.py', reportd=1))), 'reportd'),
        (dict(rows=None), 'must map baseline'),
    ],
)
def test_malformed_study(tmp_path, change, message):
    path = tmp_path / 'bad.yml'
    path.write_text(json.dumps(dict(baseline='a', rows=ROWS) | change))  # JSON is YAML
    with pytest.raises(ValueError, match=r'study .*bad') as caught:
        load_study(str(path), 'voc')
    assert message in str(caught.value)


def test_seed_precision_and_processes_are_decisive(study):
    def run(seed: int = 0, **settings: object) -> Run:
        return plan_runs(study, ['a'], [seed], {}, **settings)[0]

    alone, half = run(), run(amp='cpu')
    assert run(processes=1).fingerprint == alone.fingerprint
    others = [run(seed=1), run(processes=2), half]
    assert len({r.fingerprint for r in (alone, *others)}) == 4
    assert half.cfg.optim_wrapper.type == 'BFloat16OptimWrapper'
    assert half.cfg.test_cfg.fp16
    assert run(amp='cuda').cfg.optim_wrapper.type == 'AmpOptimWrapper'
    with pytest.raises(ValueError, match='a run takes 1 process or more, but got 0'):
        run(processes=0)
