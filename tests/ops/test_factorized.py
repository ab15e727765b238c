"""Which products a bag adds, by hand, and that gradients are summed by the transpose."""

import pytest
import torch

from mmseg_pacbal.ops import factorized, pyramid_atrous_conv2d
from mmseg_pacbal.ops.factorized import ShiftPattern, add_shifted, choose_by_rule

CPU = torch.device('cpu')
PATTERNS = pytest.mark.parametrize(
    'pattern',
    [
        ShiftPattern((7, 5), (3, 3), (1, 3, 9), False, CPU),
        ShiftPattern((7, 5), (3, 3), (1, 3, 9), True, CPU),
        ShiftPattern((1, 4), (1, 3), (2, 2), False, CPU),
        ShiftPattern((6, 3), (5, 3), (1, 2), True, CPU),
    ],
    ids=str,
)


def test_sums_and_gradients_by_hand():
    # Three pixels in a row, one tap to the left, the centre, one to the right.
    products = torch.tensor([[1.0], [10], [100], [2], [20], [200], [3], [30], [300]])
    one_rate = ShiftPattern((1, 3), (1, 3), (1,), False, CPU)
    expected = [10 + 200, 1 + 20 + 300, 32]
    assert add_shifted(products, one_rate, range(3)).flatten().tolist() == expected
    # At rate 2 the left tap of pixel 2 reads pixel 0, the right tap of pixel 0 reads pixel 2.
    two_rates = one_rate._replace(rates=(1, 2))
    assert add_shifted(products, two_rates, range(3)).flatten().tolist() == [520, 341, 63]
    apart = two_rates._replace(concat=True)
    expected = [[210, 310], [321, 20], [32, 31]]
    assert add_shifted(products, apart, range(3)).view(3, 2).tolist() == expected
    # The left tap's product of pixel 0 enters pixels 1 and 2, the centre's enters twice.
    grads = torch.tensor([[1.0], [10], [100]])
    expected = [[10 + 100, 2, 0], [100, 20, 1], [0, 200, 10 + 1]]
    assert add_shifted(grads, two_rates, range(3), True).view(3, 3).tolist() == expected


@PATTERNS
def test_gradients_are_summed_by_the_transpose_and_groups_of_taps_add_up(pattern, generator):
    (h, w), (kh, kw) = pattern.size, pattern.kernel
    outputs, taps = len(pattern.rates) if pattern.concat else 1, range(kh * kw)
    products = torch.randn(h * w, len(taps), 3, generator=generator, dtype=torch.float64)
    grads = torch.randn(h * w * outputs, 3, generator=generator, dtype=torch.float64)
    sums = add_shifted(products.view(-1, 3), pattern, taps)
    backward = (products.view(-1, 3) * add_shifted(grads, pattern, taps, True)).sum()
    torch.testing.assert_close((sums * grads).sum(), backward)
    groups = (range(2), range(2, len(taps)))
    parts = [add_shifted(products[:, g].reshape(-1, 3), pattern, g) for g in groups]
    torch.testing.assert_close(sum(parts), sums)


def test_rule():
    found = [choose_by_rule(c, r) for c, r in ((32, range(1, 6)), (31, range(1, 6)), (9999, (2,)))]
    assert found == ['factorized', 'reference', 'reference']


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
def test_few_taps_at_a_time_give_the_same(concat, dtype, generator, monkeypatch):
    x = torch.randn(2, 6, 7, 5, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(4, 6, 3, 3, generator=generator, dtype=torch.float64).to(dtype)
    grad = torch.randn(2, 12 if concat else 4, 7, 5, generator=generator).to(dtype)
    arguments = ((1, 3, 9), concat)

    def every() -> list[torch.Tensor]:
        out = factorized.forward(x, weight, *arguments)
        return [out, *factorized.backward(x, weight, grad, *arguments, (True, True))]

    expected = every()
    calls = []
    monkeypatch.setattr(
        factorized, 'add_shifted', lambda *a: calls.append(a[2:]) or add_shifted(*a)
    )
    monkeypatch.setattr(factorized, 'MAX_BYTES', 4 * 7 * 5 * 4 * x.element_size())
    tolerance = dict(rtol=2e-2, atol=5e-2) if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(every(), expected, **tolerance)
    groups = (range(4), range(4, 8), range(8, 9))
    assert calls == 2 * [(g,) for g in groups] + 2 * [(g, True) for g in groups]  # of two images


def test_rows_worked_out_in_inference_mode_serve_training_too(generator):
    x = torch.randn(1, 4, 6, 11, generator=generator)
    weight = torch.randn(3, 4, 3, 3, generator=generator, requires_grad=True)
    with torch.inference_mode():
        expected = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out.sum().backward()
    assert torch.equal(out, expected)
    assert weight.grad.abs().sum() > 0
