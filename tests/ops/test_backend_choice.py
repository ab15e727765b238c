"""Trials of backends that raise, disagree, give NaN, are slow or missing; on a CPU in full."""

import subprocess
import sys
import threading
import warnings
from types import SimpleNamespace

import pytest
import torch

from mmseg_pacbal.ops import backend_choice, pyramid_atrous_conv2d
from mmseg_pacbal.ops import pyramid_atrous_conv as pac
from mmseg_pacbal.ops.backend_choice import MAX_TRIALS, Form, Problem, Trials, choose_by_rule

RATES = (1, 3, 5)


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
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trials(clock) -> Trials:
    return Trials(clock)


@pytest.fixture
def forms(clock) -> dict[str, Form]:
    plain = pac._forms('cpu')
    return {
        'reference': clock.slow_down(plain['reference'], 3.0),
        'factorized': clock.slow_down(plain['factorized'], 2.0),
        'triton': clock.slow_down(plain['factorized'], 1.0),
    }


def choose(trials, forms, *, shape=(2, 64, 9, 11), training=True, dtype=torch.float32, rates=RATES):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(dtype)
    weight = torch.randn(8, shape[1], 3, 3, generator=generator).to(dtype)
    with torch.no_grad():
        return trials.choose(forms, x, weight, rates, False, training)


KINDS = pytest.mark.parametrize('training', [False, True], ids=['inference', 'training'])


@KINDS
@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['factorized', 'reference', 'triton'])
def test_fastest_of_right_forms_is_chosen(name, dtype, concat, training, forms, clock, trials):
    forms[name] = clock.slow_down(pac._forms('cpu')['factorized'], 0.5)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 64, 9, 11, generator=generator).to(dtype)
    weight = torch.randn(8, 64, 3, 3, generator=generator).to(dtype)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('error')
        assert trials.choose(forms, x, weight, RATES, concat, training) == name


WRONG = {
    'raises': (raising(RuntimeError('no\nkernel image')), r'raised RuntimeError \(no kernel image'),
    'is not there': (raising(ImportError('libtriton')), r'raised ImportError \(libtriton'),
    'out of memory': (raising(torch.OutOfMemoryError('big')), 'raised OutOfMemoryError'),
    'asserts': (raising(AssertionError()), 'raised AssertionError'),
    'NaN': (changed(pac._forms('cpu')['factorized'], lambda out: out * torch.nan), 'disagrees'),
    'one NaN': (
        changed(
            pac._forms('cpu')['factorized'],
            lambda out: out.index_fill(3, torch.tensor([10]), torch.nan),
        ),
        'disagrees',
    ),
    'a little wrong': (
        changed(pac._forms('cpu')['factorized'], lambda out: out * 1.001),
        'disagrees with the reference by more than rounding',
    ),
    'one wrong pixel': (
        changed(
            pac._forms('cpu')['factorized'],
            lambda out: out.index_fill(3, torch.tensor([0]), 0.0),
        ),
        'disagrees',
    ),
    'another shape': (
        changed(pac._forms('cpu')['factorized'], lambda out: out[:, :1]),
        'disagrees',
    ),
}


@KINDS
@pytest.mark.parametrize('fault', WRONG)
def test_faulty_form_is_left_out_with_one_warning(fault, training, forms, trials):
    forms['triton'], reason = WRONG[fault]
    with pytest.warns(UserWarning, match=f"(?s)backend 'triton' is left out.*{reason}") as caught:
        assert choose(trials, forms, training=training) == 'factorized'
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # said once
        assert choose(trials, forms, training=training, shape=(1, 64, 40, 40)) == 'factorized'


@pytest.mark.parametrize('which', [0, 1], ids=['x', 'weight'])
def test_wrong_gradient_is_found_in_training_alone(which, forms, trials):
    def wrong(grads):
        grads[which] = grads[which] + grads[which].abs().max() * 1e-3
        return grads

    forms['triton'] = changed(forms['triton'], backward=wrong)
    assert choose(trials, forms, training=False) == 'triton'
    with pytest.warns(UserWarning, match='disagrees'):
        assert choose(trials, forms, training=True) == 'factorized'


@pytest.mark.filterwarnings('ignore:backend')
def test_without_any_other_form_the_reference_is_left(forms, trials):
    forms['triton'] = forms['factorized'] = raising(RuntimeError())
    assert choose(trials, forms) == 'reference'
    assert choose(Trials(trials.clock), {'reference': forms['reference']}) == 'reference'


def test_reference_without_memory_leaves_it_to_the_rule(forms, trials):
    forms['reference'] = raising(torch.OutOfMemoryError('big'))
    with pytest.warns(UserWarning, match="'reference' is left out"):
        assert choose(trials, forms) == 'factorized'


@KINDS
@pytest.mark.parametrize('bad', [torch.nan, torch.inf])
def test_a_batch_that_is_not_finite_decides_nothing(bad, training, forms, trials):
    x, weight = torch.ones(2, 64, 9, 11), torch.ones(8, 64, 3, 3)
    x[1, 5, 4, 3] = bad
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('error')  # it is no form's fault
        assert trials.choose(forms, x, weight, RATES, False, training) == 'factorized'
        assert trials.choices == {}
        x[1, 5, 4, 3] = 1
        assert trials.choose(forms, x, weight, RATES, False, training) == 'triton'


def test_choice_is_kept_for_a_class_of_shapes(forms, clock, trials):
    calls = []
    forms['triton'] = changed(forms['triton'], lambda out: calls.append(out.shape) or out)
    choose(trials, forms, shape=(8, 64, 8, 9), training=False)
    assert {tuple(shape) for shape in calls} == {(2, 8, 8, 9)}  # not the whole batch
    first = len(calls)
    choose(trials, forms, shape=(3, 64, 11, 11), training=False)  # 72 and 121 are 64 to 127 pixels
    assert len(calls) == first
    for other in (dict(shape=(3, 64, 12, 11)), dict(dtype=torch.bfloat16), dict(training=True)):
        calls.clear()
        choose(trials, forms, **{'shape': (8, 64, 8, 9), 'training': False, **other})
        assert calls


def test_number_of_trials_is_bounded(forms, clock, monkeypatch):
    monkeypatch.setattr(backend_choice, 'MAX_TRIALS', 3)
    trials = Trials(clock)
    names = [choose(trials, forms, shape=(1, 64, 1, 2**n), training=False) for n in range(6)]
    assert names == ['triton'] * 3 + ['factorized'] * 3
    assert len(trials.choices) == 3
    assert MAX_TRIALS <= 100


def test_nothing_is_tried_where_there_is_nothing_to_choose(forms, trials):
    forms = dict.fromkeys(forms, raising(AssertionError('tried')))
    assert choose(trials, forms, rates=(3,)) == 'reference'
    assert choose(trials, forms, shape=(0, 64, 9, 11)) == 'factorized'
    assert trials.choices == {}


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_gradient_of_large_outputs_is_not_lost(dtype):
    out = torch.linspace(-1000, 1000, 200).repeat(2, 3, 200, 1).to(dtype)  # 1000 * 283 is too large
    grad = backend_choice.some_gradient(out)
    assert grad.dtype == dtype
    expected = out.double() / (1000 * (2 * 200 * 200) ** 0.5)
    # Half precision rounds the result, and below 2^-14 float16 to a multiple of 2^-24.
    torch.testing.assert_close(grad.double(), expected, rtol=2**-8, atol=2**-24)


def test_random_state_and_tensors_are_left_alone(forms, trials):
    before = torch.get_rng_state()
    x, weight = torch.randn(1, 64, 5, 5), torch.randn(8, 64, 3, 3, requires_grad=True)
    torch.set_rng_state(before)
    copies = x.clone(), weight.detach().clone()
    with torch.no_grad():
        trials.choose(forms, x, weight, RATES, False, True)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, copies[0])
    assert torch.equal(weight, copies[1])
    assert weight.grad is None


@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
def test_reference_as_a_form_has_the_gradients_of_autograd(concat, generator):
    x = torch.randn(2, 5, 7, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 5, generator=generator, dtype=torch.float64)
    grad = torch.randn(2, 12 if concat else 4, 7, 6, generator=generator, dtype=torch.float64)
    out, *grads = Problem(x, weight, RATES, concat, grad).solve(pac._forms('cpu')['reference'])
    for tensor in (x, weight):
        tensor.requires_grad_()
    expected = pac._reference(x, weight, RATES, concat)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(tuple(grads), torch.autograd.grad(expected, (x, weight), grad))


def test_threads_take_turns(forms, trials):
    inside, most, calls = [], [], []

    def watched(out):
        inside.append(1)
        most.append(len(inside))
        pause.wait(0.02)  # long enough for another thread to come in
        inside.pop()
        calls.append(1)
        return out

    pause = threading.Event()
    forms['triton'] = changed(forms['triton'], watched)
    names = []
    threads = [
        threading.Thread(target=lambda: names.append(choose(trials, forms, training=False)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ['triton'] * 4
    assert max(most) == 1
    assert len(calls) == 1 + backend_choice.REPEATS  # one trial for all


# What a trial asks of CUDA, with stand-ins


def test_a_trial_may_wait_in_sync_debug_mode(monkeypatch):
    mode = ['error']
    monkeypatch.setattr(torch.cuda, 'get_sync_debug_mode', lambda: mode[-1])
    monkeypatch.setattr(torch.cuda, 'set_sync_debug_mode', mode.append)
    with (
        pytest.raises(RuntimeError, match='in between'),
        backend_choice.waiting_allowed(torch.device('cuda')),
    ):
        assert mode == ['error', 'default']
        raise RuntimeError('in between')
    assert mode == ['error', 'default', 'error']
    with backend_choice.waiting_allowed(torch.device('cpu')):
        assert len(mode) == 3


@pytest.mark.parametrize(
    ('matmul', 'conv', 'allowed'),
    [('none', 'tf32', True), ('tf32', 'ieee', True), ('ieee', 'none', False)],
)
def test_newer_settings_of_tf32(matmul, conv, allowed, monkeypatch):
    cudnn = SimpleNamespace(conv=SimpleNamespace(fp32_precision=conv))
    monkeypatch.setattr(torch.backends.cuda, 'matmul', SimpleNamespace(fp32_precision=matmul))
    monkeypatch.setattr(torch.backends, 'cudnn', cudnn)
    assert backend_choice.allows_tf32() == allowed
    on_gpu = SimpleNamespace(dtype=torch.float32, is_cuda=True)
    eps = torch.finfo(torch.float32).eps
    assert backend_choice.rounding(on_gpu) == (2**-10 if allowed else eps)
    assert backend_choice.rounding(torch.zeros(1)) == eps


def test_settings_of_tf32_as_torch_keeps_them():
    """In a process of its own: torch may refuse to read one kind once the other was set."""
    code = (
        'import torch; from mmseg_pacbal.ops.backend_choice import allows_tf32 as allowed\n'
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


@pytest.mark.parametrize('allowed', [False, True])
def test_older_settings_of_tf32(allowed, monkeypatch):
    matmul = SimpleNamespace(allow_tf32=allowed)
    monkeypatch.setattr(torch.backends.cuda, 'matmul', matmul)
    monkeypatch.setattr(torch.backends, 'cudnn', SimpleNamespace(allow_tf32=False))
    assert backend_choice.allows_tf32() == allowed


# As part of the operator


@pytest.fixture
def as_on_a_gpu(monkeypatch, forms, trials) -> list[str]:
    """The operator with simulated forms and no rule in front; the names of the forms that ran."""
    ran = []
    named = {
        name: changed(form, lambda out, name=name: ran.append(name) or out)
        for name, form in forms.items()
    }
    monkeypatch.setattr(pac, '_forms', lambda device: named)
    monkeypatch.setattr(pac, 'trials', trials)
    return ran


def run_auto(x, weight):
    """What ``backend='auto'`` does beyond a CPU."""
    return pac._pyramid(x, weight, RATES, False, 'auto', x.requires_grad)


def inputs(training: bool = True):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 64, 6, 7, generator=generator).requires_grad_(training)
    return x, torch.randn(8, 64, 3, 3, generator=generator)


@KINDS
def test_operator_takes_what_the_trial_found(as_on_a_gpu, training):
    x, weight = inputs(training)
    out = run_auto(x, weight)
    tried = len(as_on_a_gpu)
    expected = pac._reference(x, weight, RATES, False)
    # The bound of backend_choice: 2 eps of the sum of absolute values, at most 64 * 9 * 3 * |t|.
    torch.testing.assert_close(out, expected, rtol=0, atol=2 * 1.2e-7 * 64 * 9 * 3 * 12)
    run_auto(x, weight)
    assert as_on_a_gpu[tried:] == ['triton']
    if training:
        actual, wanted = (torch.autograd.grad(y.square().sum(), x)[0] for y in (out, expected))
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-2)
        assert len(as_on_a_gpu) == tried + 1  # backward has the choice of forward


@pytest.mark.parametrize('switch', ['algorithms', 'cudnn'])
def test_determinism_takes_the_rule(as_on_a_gpu, trials, switch, monkeypatch):
    if switch == 'algorithms':
        monkeypatch.setattr(torch, 'are_deterministic_algorithms_enabled', lambda: True)
    else:
        monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    run_auto(*inputs(False))
    assert as_on_a_gpu == [choose_by_rule(64, RATES)] == ['factorized']
    assert trials.choices == {}


def test_a_graph_that_is_captured_takes_the_choice_made_before_it(as_on_a_gpu, trials, monkeypatch):
    x, weight = inputs(False)
    monkeypatch.setattr(backend_choice, 'is_capturing', lambda x: True)
    run_auto(x, weight)  # by the rule: nothing can be timed
    assert as_on_a_gpu == ['factorized']
    assert trials.choices == {}
    monkeypatch.setattr(backend_choice, 'is_capturing', lambda x: False)
    run_auto(x, weight)
    monkeypatch.setattr(backend_choice, 'is_capturing', lambda x: True)
    as_on_a_gpu.clear()
    run_auto(x, weight)
    assert as_on_a_gpu == ['triton']


def test_nothing_is_captured_on_a_cpu():
    assert not backend_choice.is_capturing(torch.zeros(1))


def test_compiled_model_is_tried_outside_its_graph(as_on_a_gpu, trials):
    torch.compiler.reset()
    compiled = torch.compile(run_auto, fullgraph=True, backend='aot_eager')
    x, weight = inputs()
    out = compiled(x, weight)
    assert list(trials.choices.values()) == ['triton']
    out.square().sum().backward()
    expected = torch.autograd.grad(pac._reference(x, weight, RATES, False).square().sum(), x)[0]
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-2)
    torch.compiler.reset()


def test_autocast_is_a_dtype_of_its_own(as_on_a_gpu, trials, monkeypatch):
    monkeypatch.setattr(pac, 'choose_by_rule', lambda channels, rates: 'auto')
    x, weight = inputs()
    with torch.autocast('cpu', torch.bfloat16):
        out = pyramid_atrous_conv2d(x, weight, RATES)
    assert out.dtype == torch.bfloat16
    assert [key[1] for key in trials.choices] == [torch.bfloat16]


@pytest.mark.parametrize('name', ['reference', 'factorized', 'auto'])
def test_environment_names_the_backend(name, monkeypatch):
    x, weight = inputs(False)
    monkeypatch.setenv('MMSEG_PACBAL_BACKEND', name)
    expected = 'factorized' if name == 'auto' else name
    assert torch.equal(
        pyramid_atrous_conv2d(x, weight, RATES),
        pyramid_atrous_conv2d(x, weight, RATES, backend=expected),
    )


def test_environment_with_an_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setenv('MMSEG_PACBAL_BACKEND', 'fast')
    with pytest.raises(ValueError, match="MMSEG_PACBAL_BACKEND is 'fast', but on cpu the backends"):
        pyramid_atrous_conv2d(*inputs(), RATES)
    pyramid_atrous_conv2d(*inputs(), RATES, backend='reference')  # a name in the call comes first


def importing(version: str | Exception):
    """In place of ``importlib.import_module``: Triton of that version, or what it raises."""

    def load(name):
        assert name == 'triton'
        if isinstance(version, Exception):
            raise version
        return SimpleNamespace(__version__=version) if version else SimpleNamespace()

    return load


@pytest.mark.parametrize(
    ('version', 'usable'),
    [
        ('3.4.0', True),
        ('3.10.1+git5b0d2a1f', True),
        ('3.3.1', False),
        ('', False),  # a folder of that name in the current one
        (ModuleNotFoundError('triton'), False),
        (OSError('libcuda.so.1'), False),
    ],
    ids=str,
)
def test_triton_that_cannot_compile_the_kernel_is_not_there(version, usable, monkeypatch):
    monkeypatch.setattr(pac, 'INTERPRETED', False)
    monkeypatch.setattr(pac.importlib, 'import_module', importing(version))
    pac._find_triton.cache_clear()
    try:
        assert ('triton' in pac.available_backends('cuda')) == usable
        assert 'triton' not in pac.available_backends('cpu')
    finally:
        pac._find_triton.cache_clear()


def test_clock_of_a_cpu():
    first = backend_choice.synchronised_clock(torch.device('cpu'))
    assert backend_choice.synchronised_clock(torch.device('cpu')) >= first
