"""The doctor on a healthy machine, and with each part broken on purpose."""

import contextlib
import itertools
import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmseg_pacbal import compat
from mmseg_pacbal.apps import commands, doctor
from mmseg_pacbal.apps.doctor import examination, ops, training
from mmseg_pacbal.apps.doctor.examination import (
    Check,
    Skip,
    examine,
    facts,
    pasteable,
    print_findings,
    print_fixed,
)
from mmseg_pacbal.losses import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import LabelCheck
from mmseg_pacbal.openmmlab.engine.runner import check_compiler
from mmseg_pacbal.ops import factorized, gpu_trials
from tests.environments import ROOT

CHECKS = {check.name: check for check in doctor.CHECKS}
CPU = torch.device('cpu')


def find(name: str) -> examination.Finding:
    (finding,) = (f for f in examine([CHECKS[name]]) if f.device == 'cpu')
    return finding


@pytest.mark.slow
def test_healthy_machine_passes(tmp_path):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    result = subprocess.run(
        [sys.executable, '-m', 'mmseg_pacbal.doctor', '--json', 'found.json'],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**environment, 'PYTHONPATH': str(ROOT)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'all well' in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ['found.json']  # nothing else is written
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['facts']['torch'] == torch.__version__
    assert found['facts']['fixed_by_compat'] == compat.fixed
    assert all(set(f) == set(examination.Finding._fields) for f in found['findings'])
    status = {finding['name']: finding['status'] for finding in found['findings']}
    assert set(status) == set(CHECKS)
    assert {name for name, value in status.items() if value != 'passed'} <= {
        'pinned memory',
        'torch.compile',  # where there is no compiler
    }
    block = result.stdout.split('To paste into a report:\n\n')[1].strip().splitlines()
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


def changed(way: str, function, *, every: int = 1):
    """A function of which every result, or one of so many, is broken in a way."""
    calls = itertools.count()

    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        if next(calls) % every:
            return result
        if isinstance(result, torch.Tensor):
            return WAYS[way](result)
        return [WAYS[way](part) for part in result]

    return call


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['boundary_weight_map', 'border_weight_map', 'lean_cross_entropy'])
def test_broken_op(name, way, monkeypatch):
    right = getattr(ops, name)
    finding = broken(monkeypatch, name, ops, name, changed(way, right))
    assert ('broken on purpose' if way == 'raises' else 'is off by') in finding.detail


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('direction', ['forward', 'backward'])
def test_broken_backend(direction, way, monkeypatch):
    wrong = changed(way, getattr(factorized, direction))
    finding = broken(monkeypatch, 'pyramid_atrous_conv2d', factorized, direction, wrong)
    assert 'broken on purpose' in finding.detail or 'backend factorized' in finding.detail
    assert 'MMSEG_PACBAL_BACKEND=reference' in finding.advice


@pytest.mark.parametrize('way', WAYS)
def test_broken_loss(way, monkeypatch):
    right = BoundaryAwareLoss.forward
    # The second call is the plain loss in float64, with which is compared.
    wrong = changed(way, right, every=2)
    broken(monkeypatch, 'BoundaryAwareLoss', BoundaryAwareLoss, 'forward', wrong)
    if way != 'wrong':
        wrong = changed(way, right)
        broken(monkeypatch, 'autocast and loss scaling', BoundaryAwareLoss, 'forward', wrong)


WRONG_PARTS = [
    (
        *('autocast and loss scaling', torch, 'autocast'),
        *(lambda *args, **kwargs: contextlib.nullcontext(), 'logits are torch.float32'),
    ),
    ('batch norm', torch.nn.modules.batchnorm._BatchNorm, 'forward', lambda self, x: x + 1, ''),
    ('speed of PAC', ops, '_milliseconds', raise_error, 'broken on purpose'),
    ('speed of the weight map', ops, '_milliseconds', raise_error, 'broken on purpose'),
]


@pytest.mark.parametrize(('name', 'target', 'attribute', 'wrong', 'said'), WRONG_PARTS)
def test_broken_part(name, target, attribute, wrong, said, monkeypatch):
    assert said in broken(monkeypatch, name, target, attribute, wrong).detail


COMPILERS = {
    'wrong loss': (lambda y: y * 1.5, 'compiled, the loss is off by'),
    'gradients of zero': (lambda y: y.detach() + 0 * y, 'the gradient of 0.0.weight is off by 1.0'),
    'raises': (raise_error, 'broken on purpose'),
}


@pytest.mark.parametrize('way', COMPILERS)
def test_broken_compiler(way, monkeypatch):
    change, said = COMPILERS[way]
    monkeypatch.setattr(torch, '__version__', '2.14.1+cpu')
    compiler = lambda model: lambda x: change(model(x))  # noqa: E731
    assert said in broken(monkeypatch, 'torch.compile', torch, 'compile', compiler).detail


def test_compiler_that_is_right_missing_or_known_to_be_wrong(monkeypatch):
    def no_compiler(x):
        raise RuntimeError('InvalidCxxCompiler: No working C++ compiler found')

    monkeypatch.setattr(torch, '__version__', '2.14.1+cpu')
    monkeypatch.setattr(torch, 'compile', lambda model: model)
    assert find('torch.compile').detail == 'loss and gradients'
    monkeypatch.setattr(torch, 'compile', lambda model: no_compiler)
    finding = find('torch.compile')
    assert (finding.status, finding.advice) == ('skipped', '')
    assert 'finds no compiler here' in finding.detail
    monkeypatch.setattr(torch, '__version__', '2.13.0+cpu')
    finding = find('torch.compile')
    assert (finding.status, finding.detail) == ('skipped', str(refusal()))


def refusal() -> Exception:
    """What our runner says of compile=True."""
    with pytest.raises(ValueError) as refused:
        check_compiler(Config(dict(compile=True)))
    return refused.value


def test_label_check_that_is_late_or_sees_nothing(monkeypatch):
    assert find('label check').detail in ('found at once', 'found after 63 more steps')
    with monkeypatch.context() as patched:
        patched.setattr(LabelCheck, 'CALLS_BETWEEN_LOOKS', {'cpu': 64})
        assert find('label check').detail == 'found after 63 more steps'
    blind = lambda self, label, *rest: label.clamp(max=0)  # noqa: E731
    finding = broken(monkeypatch, 'label check', LabelCheck, '__call__', blind)
    assert 'was not found in 65 steps' in finding.detail


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


def test_pinned_memory(monkeypatch):
    monkeypatch.setattr(training, 'blocks', lambda: ops.blocks().as_subclass(OnAGpu))
    assert 'is the same' in training.check_pinned_memory(torch.device('cuda'))
    monkeypatch.setattr(OnAGpu, 'lost', 1)
    with pytest.raises(ArithmeticError, match='a label differs after it was copied'):
        training.check_pinned_memory(torch.device('cuda'))


@pytest.mark.parametrize(('largest', 'status'), [(6, 'passed'), (7, 'failed'), (-1, 'failed')])
def test_prediction_of_a_class_that_is_none(largest, status, monkeypatch, tmp_path):
    (tmp_path / 'JPEGImages').mkdir()
    (tmp_path / 'JPEGImages' / 'a.jpg').touch()
    cfg = SimpleNamespace(data_root=tmp_path, work_dir=tmp_path)
    label = torch.full((5, 7), largest).numpy()
    monkeypatch.setattr(training, 'demo', lambda: cfg)
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
    def resume_from(runner, path):
        content = torch.load(path, weights_only=True)
        content['meta']['seed'] = 1  # another order of the data
        torch.save(content, path)
        right(runner, path)

    right = training.resume_from
    assert find('demo').status == 'passed'
    finding = broken(monkeypatch, 'resume', training, 'resume_from', resume_from)
    assert 'tensors differ' in finding.detail


@pytest.mark.slow
@pytest.mark.parametrize('name', ['demo', 'resume'])
def test_training_that_fails(name, monkeypatch, no_demo_yet):
    finding = broken(monkeypatch, name, training, 'build_runner', raise_error)
    assert finding.detail == 'RuntimeError: broken on purpose'


def test_backends_that_trials_chose_are_named(monkeypatch):
    choices = {(CPU, 1): 'triton', (CPU, 2): 'factorized', (CPU, 3): 'triton'}
    monkeypatch.setattr(gpu_trials, 'choices', choices)
    monkeypatch.setattr(ops, '_milliseconds', lambda function, *args: 1.0)
    assert find('speed of PAC').detail.endswith('; auto chose factorized, triton')
    monkeypatch.setattr(gpu_trials, 'choices', {('cuda:0', 1): 'triton'})
    assert 'auto' not in find('speed of PAC').detail


# What is shown


def skip(device):
    raise Skip('not here')


def test_findings_are_listed_with_what_to_do(capsys):
    checks = [
        Check('good', lambda device: 'fine [bold]', 'Nothing'),
        Check('bad', raise_error, 'Ask'),
        Check('absent', skip, 'Nothing'),
    ]
    found = [f for f in examine(checks) if f.device == 'cpu']
    assert [f.status for f in found] == ['passed', 'failed', 'skipped']
    print_findings(found)
    out = capsys.readouterr().out
    assert 'fine [bold]' in out
    assert 'failed:\n- bad on cpu: RuntimeError: broken on purpose. Ask\n' in out
    assert 'all well' not in out
    print_findings(found[::2])
    assert 'all well' in capsys.readouterr().out

    block = pasteable(facts(), found)
    assert 'failed: bad on cpu' in block
    assert 'skipped: absent on cpu: not here' in block
    assert 'fine' not in block
    assert '1 of 3 checks passed' in block

    print_fixed({'mmcv.ops': 'this mmcv has none'})
    assert capsys.readouterr().out == 'compat fixed:\n- mmcv.ops: this mmcv has none\n\n'
    print_fixed({})
    assert capsys.readouterr().out == 'compat had nothing to fix\n\n'


@pytest.mark.parametrize('fails', [True, False])
def test_exit_code_and_precision(fails, monkeypatch, tmp_path):
    """Products are not examined in TF32."""
    precision = lambda device: torch.get_float32_matmul_precision()  # noqa: E731
    check = Check('one', raise_error if fails else precision, 'Ask')
    monkeypatch.setattr(doctor, 'CHECKS', [check])
    (tmp_path / 'found.json').write_text('of another day')
    options = ['--json', str(tmp_path / 'found.json'), '--overwrite']
    monkeypatch.setattr(sys, 'argv', ['doctor', *options])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        with pytest.raises(SystemExit, match='1') if fails else contextlib.nullcontext():
            commands.run('doctor')
    finally:
        torch.set_float32_matmul_precision(before)
    finding = json.loads((tmp_path / 'found.json').read_text())['findings'][0]
    assert (finding['name'], finding['status']) == ('one', 'failed' if fails else 'passed')
    assert fails or finding['detail'] == 'highest'
