"""Trials of backends that raise, disagree, give NaN, are slow or missing; on a CPU in full."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from mmseg_pacbal.ops import gpu_trials, pyramid_atrous_conv2d
from mmseg_pacbal.ops import pyramid_atrous_conv as pac
from mmseg_pacbal.ops.gpu_trials import Form, Problem

RATES = (1, 3, 5)
KINDS = pytest.mark.parametrize('training', [False, True], ids=['inference', 'training'])
PLAIN = gpu_trials.available_forms('cpu')
EPS = torch.finfo(torch.float32).eps


class Clock:
    """Tells how much the forms pretended to work."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self, device: torch.device) -> float:
        return self.now

    def slow_down(self, form: Form, seconds: float) -> Form:
        """The same form, which takes so long in each direction."""

        def wait(result):
            self.now += seconds
            return result

        return changed(form, wait, wait)


def changed(form: Form, forward=lambda out: out, backward=lambda grads: grads) -> Form:
    return Form(lambda *a: forward(form.forward(*a)), lambda *a: backward(form.backward(*a)))


def raising(error: Exception) -> Form:
    def run(*args):
        raise error

    return Form(run, run)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """In place of the device's, in a process that has chosen nothing yet."""
    clock = Clock()
    monkeypatch.setattr(gpu_trials, 'synchronised_clock', clock)
    monkeypatch.setattr(gpu_trials, 'choices', {})
    monkeypatch.setattr(gpu_trials, '_warned', set())
    return clock


@pytest.fixture
def forms(clock, monkeypatch) -> dict[str, Form]:
    """Of the operator, too."""
    forms = {
        'reference': clock.slow_down(PLAIN['reference'], 3.0),
        'factorized': clock.slow_down(PLAIN['factorized'], 2.0),
        'triton': clock.slow_down(PLAIN['factorized'], 1.0),
    }
    monkeypatch.setattr(gpu_trials, 'available_forms', lambda device: forms)
    return forms


def choose(
    forms, training=True, shape=(2, 64, 9, 11), dtype=torch.float32, rates=RATES, concat=False
) -> str:
    x, weight = torch.zeros(shape, dtype=dtype), torch.zeros(8, shape[1], 3, 3, dtype=dtype)
    return gpu_trials.choose(forms, Problem(x, weight, rates, concat, training))


@KINDS
@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['factorized', 'reference', 'triton'])
def test_fastest_of_right_forms_is_chosen(name, dtype, concat, training, forms, clock):
    forms[name] = clock.slow_down(PLAIN['factorized'], 0.5)
    random_state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert choose(forms, training, dtype=dtype, concat=concat) == name
    assert torch.equal(torch.get_rng_state(), random_state)


WRONG = {
    'raises': (raising(RuntimeError('no\nkernel image')), r'raised RuntimeError \(no kernel image'),
    'is not there': (raising(ImportError('libtriton')), r'raised ImportError \(libtriton'),
    'NaN': (lambda out: out * torch.nan, 'disagrees'),
    'one NaN': (lambda out: out.index_fill(3, torch.tensor([10]), torch.nan), 'disagrees'),
    'a little wrong': (lambda out: out * 1.001, 'disagrees with the reference by more than'),
    'one wrong pixel': (lambda out: out.index_fill(3, torch.tensor([0]), 0.0), 'disagrees'),
    'another shape': (lambda out: out[:, :1], 'disagrees'),
}


@KINDS
@pytest.mark.parametrize('fault', WRONG)
def test_faulty_form_is_left_out_with_one_warning(fault, training, forms):
    wrong, reason = WRONG[fault]
    forms['triton'] = wrong if isinstance(wrong, Form) else changed(PLAIN['factorized'], wrong)
    with pytest.warns(UserWarning, match=f"(?s)backend 'triton' is left out.*{reason}") as caught:
        assert choose(forms, training) == 'factorized'
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # said once
        assert choose(forms, training, shape=(1, 64, 40, 40)) == 'factorized'


@pytest.mark.parametrize('which', [0, 1], ids=['x', 'weight'])
def test_wrong_gradient_is_found_in_training_alone(which, forms):
    def wrong(grads):
        grads[which] = grads[which] + grads[which].abs().max() * 1e-3
        return grads

    forms['triton'] = changed(forms['triton'], backward=wrong)
    assert choose(forms, training=False) == 'triton'
    with pytest.warns(UserWarning, match='disagrees'):
        assert choose(forms, training=True) == 'factorized'


@pytest.mark.filterwarnings('ignore:backend')
def test_without_any_other_form_the_reference_is_left(forms):
    forms['triton'] = forms['factorized'] = raising(RuntimeError())
    assert choose(forms) == 'reference'


def test_reference_without_memory_leaves_it_to_the_rule(forms):
    forms['reference'] = raising(torch.OutOfMemoryError('big'))
    with pytest.warns(UserWarning, match="'reference' is left out"):
        assert choose(forms) == 'factorized'


def test_choice_is_kept_for_a_class_of_shapes(forms):
    calls = []
    forms['triton'] = changed(forms['triton'], lambda out: calls.append(out.shape) or out)
    usual = dict(shape=(8, 64, 8, 9), training=False)
    choose(forms, **usual)
    assert {tuple(shape) for shape in calls} == {(2, 8, 8, 9)}  # not the whole batch
    calls.clear()
    choose(forms, **{**usual, 'shape': (3, 64, 11, 11)})  # 72 and 121 are 64 to 127 pixels
    assert not calls
    for other in (dict(shape=(3, 64, 12, 11)), dict(dtype=torch.bfloat16), dict(training=True)):
        calls.clear()
        choose(forms, **{**usual, **other})
        assert calls


def test_number_of_trials_is_bounded(forms, monkeypatch):
    assert gpu_trials.MAX_TRIALS <= 100
    monkeypatch.setattr(gpu_trials, 'MAX_TRIALS', 3)
    names = [choose(forms, False, shape=(1, 64, 1, 2**n)) for n in range(6)]
    assert names == ['triton'] * 3 + ['factorized'] * 3
    assert len(gpu_trials.choices) == 3


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (dict(rates=(3,)), 'reference'),
        (dict(shape=(0, 64, 9, 11)), 'factorized'),
        ('use_deterministic_algorithms', 'factorized'),
        ('cudnn.deterministic', 'factorized'),
    ],
    ids=str,
)
def test_nothing_is_tried_where_there_is_nothing_to_choose(given, expected, forms, monkeypatch):
    if given == 'use_deterministic_algorithms':
        monkeypatch.setattr(torch, 'are_deterministic_algorithms_enabled', lambda: True)
    elif given == 'cudnn.deterministic':
        monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    forms = dict.fromkeys(forms, raising(AssertionError('tried')))
    assert choose(forms, **(given if isinstance(given, dict) else {})) == expected
    assert gpu_trials.choices == {}


@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
def test_reference_as_a_form_has_the_gradients_of_autograd(concat, generator):
    x = torch.randn(2, 5, 7, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 5, generator=generator, dtype=torch.float64)
    grad = torch.randn(2, 12 if concat else 4, 7, 6, generator=generator, dtype=torch.float64)
    inputs = x.requires_grad_(), weight.requires_grad_()
    expected = torch.autograd.grad(pac.convolutions(*inputs, RATES, concat), inputs, grad)
    for needs_grad in ((True, True), (True, False), (False, True)):
        found = PLAIN['reference'].backward(
            x.detach(), weight.detach(), grad, RATES, concat, needs_grad
        )
        wanted = [e for e, needed in zip(expected, needs_grad, strict=True) if needed]
        torch.testing.assert_close(found, wanted)


def test_threads_take_turns(forms):
    inside, most = [], []

    def watched(out):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)  # long enough for another thread to come in
        inside.pop()
        return out

    forms['triton'] = changed(forms['triton'], watched)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: choose(forms, training=False), range(4))] == ['triton'] * 4
    assert most == [1] * (1 + gpu_trials.REPEATS)  # one trial for all


# What a trial asks of the device, with stand-ins


@pytest.mark.parametrize(
    ('capturing', 'debug_mode', 'expected'), [(False, 0, False), (True, 0, True), (False, 2, True)]
)
def test_nothing_waits_while_a_graph_is_captured_or_in_sync_debug_mode(
    capturing, debug_mode, expected, monkeypatch
):
    monkeypatch.setattr(torch.cuda, 'is_current_stream_capturing', lambda: capturing)
    monkeypatch.setattr(torch.cuda, 'get_sync_debug_mode', lambda: debug_mode)
    assert gpu_trials.must_not_wait(SimpleNamespace(is_cuda=True)) == expected
    assert not gpu_trials.must_not_wait(torch.zeros(1))


def test_rounding():
    x, weight = torch.zeros(2, 64, 9, 11), torch.zeros(8, 64, 3, 3)  # 64 * 27 products in a sum
    assert gpu_trials.rounding(x, weight, RATES) == pytest.approx((2 + 1728**0.5) * EPS)
    on_gpu = SimpleNamespace(
        dtype=x.dtype, is_cuda=True, shape=x.shape, numel=x.numel
    )  # where products may be computed in TF32
    assert gpu_trials.rounding(on_gpu, weight, RATES) == pytest.approx(2**-9 + 1728**0.5 * EPS)
    half = x.bfloat16(), weight.bfloat16()
    assert gpu_trials.rounding(*half, RATES) == pytest.approx(2**-6 + 1728**0.5 * EPS)


def test_clock_of_a_cpu():
    first = gpu_trials.synchronised_clock(torch.device('cpu'))
    assert gpu_trials.synchronised_clock(torch.device('cpu')) >= first


# As part of the operator


@pytest.fixture
def ran(forms) -> list[str]:
    """The names of the forms that run."""
    ran = []
    for name, form in forms.items():
        forms[name] = changed(form, lambda out, name=name: ran.append(name) or out)
    return ran


def run_auto(x, weight):
    """What ``backend='auto'`` does beyond a CPU, where no rule is in front."""
    return pac._pyramid(x, weight, RATES, False, 'auto', x.requires_grad)


def inputs(training: bool = True):
    x, weight = torch.randn(1, 64, 6, 7), torch.randn(8, 64, 3, 3) / 24
    return x.requires_grad_(training), weight


@KINDS
@pytest.mark.parametrize('compiled', [False, True], ids=['eager', 'compiled'])
def test_operator_takes_what_the_trial_found(ran, training, compiled):
    torch.compiler.reset()
    run = torch.compile(run_auto, fullgraph=True, backend='aot_eager') if compiled else run_auto
    x, weight = inputs(training)
    out = run(x, weight)
    assert list(gpu_trials.choices.values()) == ['triton']  # outside the compiled graph
    tried = len(ran)
    expected = pac.convolutions(x, weight, RATES, False)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
    run(x, weight)
    assert ran[tried:] == ['triton']
    if training:
        actual, wanted = (torch.autograd.grad(y.square().sum(), x)[0] for y in (out, expected))
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-4)
        assert len(ran) == tried + 1  # backward has the choice of forward


def test_a_graph_that_is_captured_takes_the_choice_made_before_it(ran, monkeypatch):
    x, weight = inputs(False)
    must_not_wait = iter([True, False])
    monkeypatch.setattr(gpu_trials, 'must_not_wait', lambda x: next(must_not_wait))
    run_auto(x, weight)  # by the rule: nothing can be timed
    assert ran == ['factorized']
    assert gpu_trials.choices == {}
    run_auto(x, weight)
    ran.clear()
    run_auto(x, weight)
    assert ran == ['triton']


def test_autocast_is_a_dtype_of_its_own(ran, monkeypatch):
    monkeypatch.setattr(pac.factorized, 'choose_by_rule', lambda channels, rates: 'auto')
    with torch.autocast('cpu', torch.bfloat16):
        assert pyramid_atrous_conv2d(*inputs(), RATES).dtype == torch.bfloat16
    assert [key[1] for key in gpu_trials.choices] == [torch.bfloat16]


@pytest.mark.parametrize('name', ['reference', 'factorized', 'auto'])
def test_environment_names_the_backend(name, monkeypatch):
    monkeypatch.setenv('MMSEG_PACBAL_BACKEND', name)
    ran = []
    for module, form in ((pac.factorized, 'forward'), (pac, 'convolutions')):
        original = getattr(module, form)
        monkeypatch.setattr(
            module, form, lambda *args, f=original: ran.append(f.__name__) or f(*args)
        )
    pyramid_atrous_conv2d(*inputs(False), RATES)
    assert ran == ['convolutions' if name == 'reference' else 'forward']


def test_environment_with_an_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setenv('MMSEG_PACBAL_BACKEND', 'fast')
    with pytest.raises(ValueError, match="MMSEG_PACBAL_BACKEND is 'fast', but on cpu the backends"):
        pyramid_atrous_conv2d(*inputs(), RATES)
    pyramid_atrous_conv2d(*inputs(), RATES, backend='reference')  # a name in the call comes first


@pytest.mark.parametrize(
    ('triton', 'usable'),
    [
        (SimpleNamespace(__version__='3.4.0'), True),
        (SimpleNamespace(__version__='3.10.1+git5b0d2a1f'), True),
        (SimpleNamespace(__version__='3.3.1'), False),
        (SimpleNamespace(), False),  # a folder of that name in the current one
        (ModuleNotFoundError('triton'), False),
        (OSError('libcuda.so.1'), False),
    ],
    ids=str,
)
def test_triton_that_cannot_compile_the_kernel_is_not_there(triton, usable, monkeypatch):
    def load(name):
        assert name == 'triton'
        if isinstance(triton, Exception):
            raise triton
        return triton

    monkeypatch.setattr(pac, 'INTERPRETED', False)
    monkeypatch.setattr(pac.importlib, 'import_module', load)
    pac._has_triton.cache_clear()
    try:
        assert ('triton' in pac.available_backends('cuda')) == usable
        assert 'triton' not in pac.available_backends('cpu')
    finally:
        pac._has_triton.cache_clear()
