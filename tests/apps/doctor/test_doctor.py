"""The doctor on a healthy machine, and with each part broken on purpose."""

import contextlib
import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mmseg_pacbal import compat
from mmseg_pacbal.apps import doctor
from mmseg_pacbal.apps.doctor import examination, ops, speed, training
from mmseg_pacbal.apps.doctor.examination import Check, Skip, examine
from mmseg_pacbal.apps.doctor.report import facts, pasteable, print_findings, print_fixed
from mmseg_pacbal.losses import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import LabelCheck
from mmseg_pacbal.ops import factorized, gpu_trials
from tests.environments import ROOT

CHECKS = {check.name: check for check in doctor.CHECKS}
CPU = torch.device('cpu')


def find(name: str) -> examination.Finding:
    (finding,) = (f for f in examine([CHECKS[name]]) if f.device == 'cpu')
    return finding


# The whole, once


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> tuple[subprocess.CompletedProcess, dict]:
    folder = tmp_path_factory.mktemp('doctor')
    result = subprocess.run(
        [sys.executable, '-m', 'mmseg_pacbal.doctor', '--json', 'found.json'],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**doctor_environment(), 'PYTHONPATH': str(ROOT)},
    )
    assert [path.name for path in folder.iterdir()] == ['found.json']  # nothing else is written
    return result, json.loads((folder / 'found.json').read_text())


def doctor_environment() -> dict[str, str]:
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}


@pytest.mark.slow
def test_healthy_machine_passes(whole):
    result, found = whole
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'all well' in result.stdout
    status = {finding['name']: finding['status'] for finding in found['findings']}
    assert set(status) == set(CHECKS)
    assert {name for name, value in status.items() if value != 'passed'} <= {
        'pinned memory',
        'torch.compile',  # where there is no compiler
    }


@pytest.mark.slow
def test_json_has_versions_and_every_check(whole):
    found = whole[1]
    assert found['facts']['torch'] == torch.__version__
    assert found['facts']['fixed_by_compat'] == compat.fixed
    for finding in found['findings']:
        assert set(finding) == set(examination.Finding._fields)
        assert finding['seconds'] >= 0


@pytest.mark.slow
def test_output_ends_with_a_block_to_paste(whole):
    block = whole[0].stdout.split('To paste into a report:\n\n')[1].strip().splitlines()
    assert (block[0], block[-1]) == ('```text', '```')
    assert len(block) <= 30
    assert f'torch {torch.__version__}' in block[1]
    assert any('speed of PAC on cpu' in line for line in block)


# Each part, broken


def broken(monkeypatch, name: str, target, attribute: str, value) -> examination.Finding:
    monkeypatch.setattr(target, attribute, value)
    finding = find(name)
    assert finding.status == 'failed'
    assert finding.advice == CHECKS[name].advice
    return finding


def raise_error(*args, **kwargs):
    raise RuntimeError('broken on purpose')


WAYS = {
    'raises': raise_error,
    'NaN': lambda value: value * math.nan,
    'wrong': lambda value: value * 1.001,
}


def way_of(name: str, function):
    """A function that is broken in one of the ways."""
    change = WAYS[name]
    return change if name == 'raises' else lambda *a, **k: change(function(*a, **k))


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['boundary_weight_map', 'border_weight_map'])
def test_broken_weight_map(name, way, monkeypatch):
    finding = broken(monkeypatch, name, ops, name, way_of(way, getattr(ops, name)))
    assert ('broken on purpose' if way == 'raises' else 'is off by') in finding.detail


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_broken_backend(direction, way, monkeypatch):
    right = getattr(factorized, direction)
    change = WAYS[way] if way != 'raises' else raise_error

    def changed(*args):
        result = right(*args)
        return change(result) if direction == 'forward' else [change(part) for part in result]

    finding = broken(monkeypatch, 'pyramid_atrous_conv2d', factorized, direction, changed)
    assert 'broken on purpose' in finding.detail or 'backend factorized' in finding.detail
    assert 'MMSEG_PACBAL_BACKEND=reference' in finding.advice


@pytest.mark.parametrize('way', WAYS)
def test_broken_lean_cross_entropy(way, monkeypatch):
    right = ops.lean_cross_entropy

    def changed(*args, **kwargs):
        loss, correct = right(*args, **kwargs)
        return WAYS[way](loss), correct

    broken(monkeypatch, 'lean_cross_entropy', ops, 'lean_cross_entropy', changed)


@pytest.mark.parametrize('way', WAYS)
def test_broken_loss(way, monkeypatch):
    right = BoundaryAwareLoss.forward
    calls = []

    def changed(self, score, *args, **kwargs):
        calls.append(score.dtype)
        value = right(self, score, *args, **kwargs)
        # The plain loss in float64 is what is compared with.
        return value if len(calls) % 2 == 0 else WAYS[way](value)

    broken(monkeypatch, 'BoundaryAwareLoss', BoundaryAwareLoss, 'forward', changed)


@pytest.mark.parametrize('way', ['raises', 'NaN'])
def test_broken_loss_under_autocast(way, monkeypatch):
    forward = way_of(way, BoundaryAwareLoss.forward)
    broken(monkeypatch, 'autocast and loss scaling', BoundaryAwareLoss, 'forward', forward)


def test_autocast_that_does_nothing(monkeypatch):
    def autocast(device, dtype=None, enabled=True):
        return contextlib.nullcontext()

    finding = broken(monkeypatch, 'autocast and loss scaling', torch, 'autocast', autocast)
    assert 'logits are torch.float32' in finding.detail


def test_broken_compiler(monkeypatch):
    def compile_(model, **kwargs):
        return lambda x: model(x) * 1.5

    finding = broken(monkeypatch, 'torch.compile', torch, 'compile', compile_)
    assert 'compiled, but' in finding.detail
    broken(monkeypatch, 'torch.compile', torch, 'compile', lambda model, **k: raise_error)


def test_missing_compiler_is_skipped(monkeypatch):
    def compile_(model, **kwargs):
        def run(x):
            raise RuntimeError('InvalidCxxCompiler: No working C++ compiler found')

        return run

    monkeypatch.setattr(torch, 'compile', compile_)
    finding = find('torch.compile')
    assert (finding.status, finding.advice) == ('skipped', '')
    assert 'finds no compiler here' in finding.detail


def test_broken_norm(monkeypatch):
    norm = torch.nn.modules.batchnorm._BatchNorm
    broken(monkeypatch, 'batch norm', norm, 'forward', lambda self, x: x + 1)


def test_label_check_that_sees_nothing(monkeypatch):
    monkeypatch.setattr(LabelCheck, '__call__', lambda self, label, *rest: label.clamp(max=0))
    finding = find('label check')
    assert finding.status == 'failed'
    assert 'was not found in 65 steps' in finding.detail


def test_late_label_check_passes(monkeypatch):
    monkeypatch.setattr(LabelCheck, 'CALLS_BETWEEN_LOOKS', {'cpu': 64})
    assert find('label check').detail == 'found after 63 more steps'


class OnAGpu(torch.Tensor):
    """A tensor of the CPU that can be pinned and copied as if there were a GPU."""

    lost = 0

    def pin_memory(self):
        return self

    def to(self, device, non_blocking):
        assert non_blocking
        return self + OnAGpu.lost

    def cpu(self):
        return self


@pytest.mark.parametrize('lost', [0, 1])
def test_pinned_memory(lost, monkeypatch):
    monkeypatch.setattr(training, 'blocks', lambda: ops.blocks().as_subclass(OnAGpu))
    monkeypatch.setattr(OnAGpu, 'lost', lost)
    if lost:
        with pytest.raises(ArithmeticError, match='a label differs after it was copied'):
            training.check_pinned_memory(torch.device('cuda'))
    else:
        assert 'is the same' in training.check_pinned_memory(torch.device('cuda'))


@pytest.mark.parametrize(('largest', 'status'), [(6, 'passed'), (7, 'failed'), (-1, 'failed')])
def test_prediction_of_a_class_that_is_none(largest, status, monkeypatch, tmp_path):
    (tmp_path / 'JPEGImages').mkdir()
    (tmp_path / 'JPEGImages' / 'a.jpg').touch()
    cfg = SimpleNamespace(data_root=tmp_path)
    label = torch.full((5, 7), largest).numpy()
    monkeypatch.setattr(training, 'demo', lambda folder: (cfg, tmp_path))
    monkeypatch.setattr(
        training, 'init_inferencer', lambda *a, device: lambda image: dict(predictions=label)
    )
    finding = find('demo')
    assert finding.status == status
    assert ('there are 0 to 6' if status == 'failed' else '(5, 7)') in finding.detail


@pytest.fixture
def no_demo_yet():
    training.demo.cache_clear()
    yield
    training.demo.cache_clear()


@pytest.mark.slow
def test_resume_that_loses_something(monkeypatch, no_demo_yet):
    monkeypatch.setattr(training, '_run', forgetful(training._run))
    assert find('demo').status == 'passed'
    finding = find('resume')
    assert finding.status == 'failed'
    assert 'tensors differ' in finding.detail


def forgetful(run):
    def changed(cfg, checkpoint=None):
        if checkpoint:
            cfg.randomness.seed = 1  # another order of the data
            content = torch.load(checkpoint, weights_only=True)
            content['meta']['seed'] = 1
            torch.save(content, checkpoint)
        return run(cfg, checkpoint)

    return changed


@pytest.mark.slow
def test_training_that_fails(monkeypatch, no_demo_yet):
    monkeypatch.setattr(training, 'build_runner', raise_error)
    for name in ('demo', 'resume'):
        finding = find(name)
        assert finding.status == 'failed'
        assert finding.detail == 'RuntimeError: broken on purpose'


@pytest.mark.parametrize('name', ['speed of PAC', 'speed of the weight map'])
def test_timing_that_fails(name, monkeypatch):
    broken(monkeypatch, name, speed, '_milliseconds', raise_error)


def test_backends_that_trials_chose_are_named(monkeypatch):
    choices = {(CPU, 1): 'triton', (CPU, 2): 'factorized', (CPU, 3): 'triton'}
    monkeypatch.setattr(gpu_trials, 'choices', choices)
    monkeypatch.setattr(speed, '_milliseconds', lambda function: 1.0)
    assert find('speed of PAC').detail.endswith('; auto chose factorized, triton')
    monkeypatch.setattr(gpu_trials, 'choices', {('cuda:0', 1): 'triton'})
    assert 'auto' not in find('speed of PAC').detail


# What is shown


def test_fixes_are_shown_with_the_reason(capsys):
    print_fixed(dict(fixed_by_compat={'mmcv.ops': 'this mmcv has none'}))
    assert capsys.readouterr().out == 'compat fixed:\n- mmcv.ops: this mmcv has none\n\n'
    print_fixed(dict(fixed_by_compat={}))
    assert capsys.readouterr().out == 'compat had nothing to fix\n\n'


@pytest.fixture
def found() -> list[examination.Finding]:
    def skip(device):
        raise Skip('not here')

    checks = [
        Check('good', lambda device: 'fine [bold]', 'Nothing'),
        Check('bad', raise_error, 'Ask'),
        Check('absent', skip, 'Nothing'),
    ]
    return [f for f in examine(checks) if f.device == 'cpu']


def test_findings_are_listed_with_what_to_do(found, capsys):
    assert [f.status for f in found] == ['passed', 'failed', 'skipped']
    print_findings(found)
    out = capsys.readouterr().out
    assert 'fine [bold]' in out
    assert 'failed:\n- bad on cpu: RuntimeError: broken on purpose. Ask\n' in out
    assert 'all well' not in out
    print_findings(found[::2])
    assert 'all well' in capsys.readouterr().out


def test_block_leaves_out_what_passed(found):
    block = pasteable(facts(), found)
    assert 'failed: bad on cpu' in block
    assert 'skipped: absent on cpu: not here' in block
    assert 'fine' not in block
    assert '1 of 3 checks passed' in block


@pytest.mark.parametrize(('function', 'code'), [(raise_error, 1), (lambda device: '', None)])
def test_exit_code(function, code, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, 'CHECKS', [Check('one', function, 'Ask')])
    monkeypatch.setattr(sys, 'argv', ['doctor', '--json', str(tmp_path / 'found.json')])
    if code:
        with pytest.raises(SystemExit) as ended:
            doctor.main()
        assert ended.value.code == code
    else:
        doctor.main()
    assert json.loads((tmp_path / 'found.json').read_text())['findings'][0]['name'] == 'one'


def test_products_are_not_examined_in_tf32(monkeypatch, tmp_path):
    check = Check('precision', lambda device: torch.get_float32_matmul_precision(), 'Ask')
    monkeypatch.setattr(doctor, 'CHECKS', [check])
    monkeypatch.setattr(sys, 'argv', ['doctor', '--json', str(tmp_path / 'found.json')])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        doctor.main()
    finally:
        torch.set_float32_matmul_precision(before)
    found = json.loads((tmp_path / 'found.json').read_text())['findings']
    assert {finding['detail'] for finding in found} == {'highest'}
