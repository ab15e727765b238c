"""The demo under other kernels: settings reach it, and the range is that of its scores."""

import argparse
import subprocess

import pytest

from benchmarks import machines


def test_table_ends_with_the_range():
    measured = {'a': dict(mIoU=76.7, minutes=1.0), 'b': dict(mIoU=77.34, minutes=2.26)}
    place = dict(machine='A CPU', torch='2', commit='c', date='d')
    lines = machines.table(dict(results=measured, environment=place)).splitlines()
    assert lines[:4] == [
        '| kernels | mIoU | minutes |',
        '|---|---:|---:|',
        '| a | 76.70 | 1.0 |',
        '| b | 77.34 | 2.3 |',
    ]
    assert lines[-1] == 'mIoU 76.70 to 77.34; A CPU, torch 2, commit c, d.'


def test_setting_and_options_reach_the_demo(monkeypatch, tmp_path):
    demo = tmp_path / 'demo.py'
    demo.write_text(
        'import json, os, sys\n'
        'place = sys.argv[sys.argv.index("--work-dir") + 1]\n'
        'scores = dict(trained=dict(mIoU=float(os.environ["OMP_NUM_THREADS"])), minutes=1)\n'
        'assert sys.argv[-2:] == ["--images", "1"], sys.argv\n'
        'json.dump(scores, open(f"{place}/results.json", "w"))\n'
    )
    monkeypatch.setattr(machines, 'DEMO', demo)
    setting = machines.SETTINGS['own kernels, 4 threads']
    assert machines.run_demo(setting, ['--images', '1']) == dict(mIoU=4.0, minutes=1)
    measured = machines.measure(argparse.Namespace(options='--images 1'))
    assert [scores['mIoU'] for scores in measured.values()] == [1, 2, 4, 2, 1]


def test_demo_that_fails_is_shown(monkeypatch, tmp_path, capsys):
    demo = tmp_path / 'demo.py'
    demo.write_text('raise SystemExit("no data")')
    monkeypatch.setattr(machines, 'DEMO', demo)
    with pytest.raises(subprocess.CalledProcessError):
        machines.run_demo({}, [])
    assert 'no data' in capsys.readouterr().err
