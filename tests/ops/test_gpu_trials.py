"""Trials of backends that raise, disagree, give NaN, are slow or missing; on a CPU in full."""

import subprocess
import sys
import threading
import warnings
from types import SimpleNamespace

import pytest
import torch

from mmseg_pacbal.ops import gpu_trials, pyramid_atrous_conv2d
from mmseg_pacbal.ops import pyramid_atrous_conv as pac
from mmseg_pacbal.ops.factorized import choose_by_rule
from mmseg_pacbal.ops.gpu_trials import Form, Problem

RATES = (1, 3, 5)
KINDS = pytest.mark.parametrize('training', [False, True], ids=['inference', 'training'])
PLAIN = gpu_trials.available_forms('cpu')


class Clock:
    """Tells how much the forms pretended to work."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self, device: torch.device) -> float:
        return self.now

    def slow_down(self, form: Form, seconds: float) -> Form:
        """The same form, which takes so long in each direction."""

        def after(function):
            def run(*args):
                self.now += seconds
                return function(*args)

            return run

        return Form(after(form.forward), after(form.backward))


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
def forms(clock) -> dict[str, Form]:
    return {
        'reference': clock.slow_down(PLAIN['reference'], 3.0),
        'factorized': clock.slow_down(PLAIN['factorized'], 2.0),
        'triton': clock.slow_down(PLAIN['factorized'], 1.0),
    }


def problem(shape=(2, 64, 9, 11), dtype=torch.float32, rates=RATES, concat=False) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(dtype)
    weight = torch.randn(8, shape[1], 3, 3, generator=generator).to(dtype)
    return Problem(x, weight, rates, concat)


def choose(forms, training=True, **options) -> str:
    return gpu_trials.choose(forms, problem(**options), training)


@KINDS
@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['factorized', 'reference', 'triton'])
def test_fastest_of_right_forms_is_chosen(name, dtype, concat, training, forms, clock):
    forms[name] = clock.slow_down(PLAIN['factorized'], 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert choose(forms, training, dtype=dtype, concat=concat) == name


WRONG = {
    'raises': (raising(RuntimeError('no\nkernel image')), r'raised RuntimeError \(no kernel image'),
    'is not there': (raising(ImportError('libtriton')), r'raised ImportError \(libtriton'),
    'asserts': (raising(AssertionError()), 'raised AssertionError'),
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
    assert choose({'reference': forms['reference']}, training=False) == 'reference'
    forms['triton'] = forms['factorized'] = raising(RuntimeError())
    assert choose(forms) == 'reference'


def test_reference_without_memory_leaves_it_to_the_rule(forms):
    forms['reference'] = raising(torch.OutOfMemoryError('big'))
    with pytest.warns(UserWarning, match="'reference' is left out"):
        assert choose(forms) == 'factorized'


@KINDS
@pytest.mark.parametrize('bad', [torch.nan, torch.inf])
def test_a_batch_that_is_not_finite_decides_nothing(bad, training, forms):
    given = problem()
    good = given.x[1, 5, 4, 3].item()
    given.x[1, 5, 4, 3] = bad
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # it is no form's fault
        assert gpu_trials.choose(forms, given, training) == 'factorized'
        assert gpu_trials.choices == {}
        given.x[1, 5, 4, 3] = good
        assert gpu_trials.choose(forms, given, training) == 'triton'


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


def test_nothing_is_tried_where_there_is_nothing_to_choose(forms):
    forms = dict.fromkeys(forms, raising(AssertionError('tried')))
    assert choose(forms, rates=(3,)) == 'reference'
    assert choose(forms, shape=(0, 64, 9, 11)) == 'factorized'
    assert gpu_trials.choices == {}


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_gradient_of_large_outputs_is_not_lost(dtype):
    out = torch.linspace(-1000, 1000, 200).repeat(2, 3, 200, 1).to(dtype)  # 1000 * 283 is too large
    grad = gpu_trials.probe_gradient(out)
    assert grad.dtype == dtype
    expected = out.double() / (1000 * (2 * 200 * 200) ** 0.5)
    # Half precision rounds the result, and below 2^-14 float16 to a multiple of 2^-24.
    torch.testing.assert_close(grad.double(), expected, rtol=2**-8, atol=2**-24)


def test_random_state_and_tensors_are_left_alone(forms):
    given, before = problem(), torch.get_rng_state()
    copies = given.with_tensors(torch.clone)
    gpu_trials.choose(forms, given, True)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(given.x, copies.x)
    assert torch.equal(given.weight, copies.weight)


@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
def test_reference_as_a_form_has_the_gradients_of_autograd(concat, generator):
    x = torch.randn(2, 5, 7, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 5, generator=generator, dtype=torch.float64)
    grad = torch.randn(2, 12 if concat else 4, 7, 6, generator=generator, dtype=torch.float64)
    out, *grads = Problem(x, weight, RATES, concat, grad).solve(PLAIN['reference'])
    expected = pac.convolutions(x.requires_grad_(), weight.requires_grad_(), RATES, concat)
    torch.testing.assert_close(out, expected)
    expected = torch.autograd.grad(expected, (x, weight), grad)
    torch.testing.assert_close(tuple(grads), expected)
    for needs_grad in ((True, False), (False, True)):
        arguments = (x.detach(), weight.detach(), grad, RATES, concat, needs_grad)
        (one,) = PLAIN['reference'].backward(*arguments)
        torch.testing.assert_close(one, expected[needs_grad.index(True)])


def test_threads_take_turns(forms):
    inside, most, names = [], [], []

    def watched(out):
        inside.append(1)
        most.append(len(inside))
        pause.wait(0.02)  # long enough for another thread to come in
        inside.pop()
        return out

    pause = threading.Event()
    forms['triton'] = changed(forms['triton'], watched)
    threads = [
        threading.Thread(target=lambda: names.append(choose(forms, training=False)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ['triton'] * 4
    assert most == [1] * (1 + gpu_trials.REPEATS)  # one trial for all


# What a trial asks of CUDA, with stand-ins


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


@pytest.mark.parametrize(
    ('matmul', 'conv', 'allowed'),
    [('none', 'tf32', True), ('tf32', 'ieee', True), ('ieee', 'none', False)],
)
def test_newer_settings_of_tf32(matmul, conv, allowed, monkeypatch):
    cudnn = SimpleNamespace(conv=SimpleNamespace(fp32_precision=conv))
    monkeypatch.setattr(torch.backends.cuda, 'matmul', SimpleNamespace(fp32_precision=matmul))
    monkeypatch.setattr(torch.backends, 'cudnn', cudnn)
    assert gpu_trials.allows_tf32() == allowed
    on_gpu = SimpleNamespace(dtype=torch.float32, is_cuda=True)
    eps = torch.finfo(torch.float32).eps
    assert gpu_trials.rounding(on_gpu) == (2**-10 if allowed else eps)
    assert gpu_trials.rounding(torch.zeros(1)) == eps


@pytest.mark.parametrize('allowed', [False, True])
def test_older_settings_of_tf32(allowed, monkeypatch):
    matmul = SimpleNamespace(allow_tf32=allowed)
    monkeypatch.setattr(torch.backends.cuda, 'matmul', matmul)
    monkeypatch.setattr(torch.backends, 'cudnn', SimpleNamespace(allow_tf32=False))
    assert gpu_trials.allows_tf32() == allowed


@pytest.mark.slow
def test_settings_of_tf32_as_torch_keeps_them():
    """In a process of its own: torch may refuse to read one kind once the other was set."""
    code = (
        'import torch; from mmseg_pacbal.ops.gpu_trials import allows_tf32 as allowed\n'
        'torch.backends.cudnn.allow_tf32 = False; print(allowed())\n'
        'torch.backends.cuda.matmul.allow_tf32 = True; print(allowed())\n'
        'if hasattr(torch.backends.cuda.matmul, "fp32_precision"):\n'
        '    torch.backends.fp32_precision = "ieee"\n'
        '    torch.backends.cuda.matmul.fp32_precision = "ieee"; print(allowed())\n'
        '    torch.backends.cudnn.conv.fp32_precision = "tf32"; print(allowed())\n'
    )
    command = [sys.executable, '-W', 'ignore', '-c', code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stderr == ''
    assert 'False True False True'.startswith(' '.join(result.stdout.split()))
    assert len(result.stdout.split()) in (2, 4)


def test_clock_of_a_cpu():
    first = gpu_trials.synchronised_clock(torch.device('cpu'))
    assert gpu_trials.synchronised_clock(torch.device('cpu')) >= first


# As part of the operator


@pytest.fixture
def as_on_a_gpu(monkeypatch, forms) -> list[str]:
    """The operator with simulated forms; the names of the forms that ran."""
    ran = []
    named = {
        name: changed(form, lambda out, name=name: ran.append(name) or out)
        for name, form in forms.items()
    }
    monkeypatch.setattr(gpu_trials, 'available_forms', lambda device: named)
    return ran


def run_auto(x, weight):
    """What ``backend='auto'`` does beyond a CPU, where no rule is in front."""
    return pac._pyramid(x, weight, RATES, False, 'auto', x.requires_grad)


def inputs(training: bool = True):
    x, weight, *_ = problem((1, 64, 6, 7))
    return x.requires_grad_(training), weight


@KINDS
@pytest.mark.parametrize('compiled', [False, True], ids=['eager', 'compiled'])
def test_operator_takes_what_the_trial_found(as_on_a_gpu, training, compiled):
    torch.compiler.reset()
    run = torch.compile(run_auto, fullgraph=True, backend='aot_eager') if compiled else run_auto
    x, weight = inputs(training)
    out = run(x, weight)
    assert list(gpu_trials.choices.values()) == ['triton']  # outside the compiled graph
    tried = len(as_on_a_gpu)
    expected = pac.convolutions(x, weight, RATES, False)
    # The tolerance of a trial: 2 eps of the sum of absolute values, at most 64 * 9 * 3 * |t|.
    torch.testing.assert_close(out, expected, rtol=0, atol=2 * 1.2e-7 * 64 * 9 * 3 * 12)
    run(x, weight)
    assert as_on_a_gpu[tried:] == ['triton']
    if training:
        actual, wanted = (torch.autograd.grad(y.square().sum(), x)[0] for y in (out, expected))
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-2)
        assert len(as_on_a_gpu) == tried + 1  # backward has the choice of forward


@pytest.mark.parametrize('switch', ['algorithms', 'cudnn'])
def test_determinism_takes_the_rule(as_on_a_gpu, switch, monkeypatch):
    if switch == 'algorithms':
        monkeypatch.setattr(torch, 'are_deterministic_algorithms_enabled', lambda: True)
    else:
        monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    run_auto(*inputs(False))
    assert as_on_a_gpu == [choose_by_rule(64, RATES)] == ['factorized']
    assert gpu_trials.choices == {}


def test_a_graph_that_is_captured_takes_the_choice_made_before_it(as_on_a_gpu, monkeypatch):
    x, weight = inputs(False)
    must_not_wait = iter([True, False])
    monkeypatch.setattr(gpu_trials, 'must_not_wait', lambda x: next(must_not_wait))
    run_auto(x, weight)  # by the rule: nothing can be timed
    assert as_on_a_gpu == ['factorized']
    assert gpu_trials.choices == {}
    run_auto(x, weight)
    as_on_a_gpu.clear()
    run_auto(x, weight)
    assert as_on_a_gpu == ['triton']


def test_autocast_is_a_dtype_of_its_own(as_on_a_gpu, monkeypatch):
    monkeypatch.setattr(pac.factorized, 'choose_by_rule', lambda channels, rates: 'auto')
    with torch.autocast('cpu', torch.bfloat16):
        out = pyramid_atrous_conv2d(*inputs(), RATES)
    assert out.dtype == torch.bfloat16
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
    pac._find_triton.cache_clear()
    try:
        assert ('triton' in pac.available_backends('cuda')) == usable
        assert 'triton' not in pac.available_backends('cpu')
    finally:
        pac._find_triton.cache_clear()
