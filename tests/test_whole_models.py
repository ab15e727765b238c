"""The benchmark of whole models: what it scores and prints, with stand-ins for models and data."""

import argparse

import numpy as np
import pytest

from benchmarks import whole_models


def test_scores_and_table_by_hand(monkeypatch):
    label = np.tile([0, 0, 0, 0, 1, 1, 1, 1], (4, 1))
    image = np.eye(3, dtype=np.float32)[label[::2, ::2]].transpose(2, 0, 1)[None]  # half the size
    models = dict(exact=lambda x: x, all_0=lambda x: 0 * x)
    stand_ins = dict(load_complete_config={}, random_weights='', samples=[(image, label)])
    for name, value in dict(stand_ins, candidates=models).items():
        monkeypatch.setattr(whole_models, name, lambda *_, value=value: value)
    monkeypatch.setattr(whole_models, 'INT8_PACKAGES', ())
    args = argparse.Namespace(models='a/one.py=b/w.pth,two.py', data='', threads=1, repeats=1)
    results = whole_models.measure(args)
    assert [run['miou'] for run in results['runs']] == [100, 25, None, None]
    results['runs'][0]['times'] = dict(p20=0.01, p50=0.02, p80=0.03)
    place = dict(machine='A CPU', torch='2', commit='c', date='d')
    table = whole_models.table(dict(environment=place, results=results))
    assert '| `one` | w | exact | 10.0, 20.0, 30.0 | 50.0 | 100.00 |' in table
    assert table.count('random weights') == table.count('not measured') == 2


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(whole_models, 'INT8_PACKAGES', ('json', 'absent_package'))
    with pytest.raises(ImportError, match='not installed: absent_package; pip install json absent'):
        whole_models.measure(argparse.Namespace())
