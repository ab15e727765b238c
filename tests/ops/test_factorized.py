"""Which products a bag adds, by hand, and that gradients are summed by the transpose."""

import pytest
import torch

from mmseg_pacbal.ops import factorized, pyramid_atrous_conv2d
from mmseg_pacbal.ops.factorized import Pyramid, sum_gradients, sum_products

CPU = torch.device('cpu')
PYRAMIDS = [
    Pyramid((7, 5), (3, 3), (1, 3, 9), False, CPU),
    Pyramid((7, 5), (3, 3), (1, 3, 9), True, CPU),
    Pyramid((1, 4), (1, 3), (2, 2), False, CPU),
    Pyramid((6, 3), (5, 3), (1, 2), True, CPU),
]


def test_sums_by_hand():
    # Three pixels in a row, one tap to the left, the centre, one to the right.
    products = torch.tensor([[1.0], [10], [100], [2], [20], [200], [3], [30], [300]])
    one_rate = Pyramid((1, 3), (1, 3), (1,), False, CPU)
    assert sum_products(products, one_rate, range(3)).flatten().tolist() == [
        10 + 200,
        1 + 20 + 300,
        32,
    ]
    # At rate 2 the left tap of pixel 2 reads pixel 0, the right tap of pixel 0 reads pixel 2.
    two_rates = one_rate._replace(rates=(1, 2))
    assert sum_products(products, two_rates, range(3)).flatten().tolist() == [520, 341, 63]
    apart = two_rates._replace(concat=True)
    expected = [[210, 310], [321, 20], [32, 31]]
    assert sum_products(products, apart, range(3)).view(3, 2).tolist() == expected


def test_gradients_by_hand():
    grads = torch.tensor([[1.0], [10], [100]])
    pyramid = Pyramid((1, 3), (1, 3), (1, 2), False, CPU)
    # The left tap's product of pixel 0 enters pixels 1 and 2, the centre's enters twice.
    expected = [[10 + 100, 2, 0], [100, 20, 1], [0, 200, 10 + 1]]
    assert sum_gradients(grads, pyramid, range(3)).view(3, 3).tolist() == expected


@pytest.mark.parametrize('pyramid', PYRAMIDS, ids=str)
def test_gradients_are_summed_by_the_transpose(pyramid, generator):
    (h, w), (kh, kw) = pyramid.size, pyramid.kernel
    pixels, taps = h * w, kh * kw
    outputs = len(pyramid.rates) if pyramid.concat else 1
    products = torch.randn(pixels * taps, 3, generator=generator, dtype=torch.float64)
    grads = torch.randn(pixels * outputs, 3, generator=generator, dtype=torch.float64)
    forward = (sum_products(products, pyramid, range(taps)) * grads).sum()
    backward = (products * sum_gradients(grads, pyramid, range(taps))).sum()
    torch.testing.assert_close(forward, backward)


@pytest.mark.parametrize('pyramid', PYRAMIDS, ids=str)
def test_taps_in_groups_add_up(pyramid, generator):
    taps, pixels = pyramid.kernel[0] * pyramid.kernel[1], pyramid.size[0] * pyramid.size[1]
    products = torch.randn(pixels, taps, 3, generator=generator, dtype=torch.float64)
    parts = [
        sum_products(products[:, part].reshape(-1, 3), pyramid, part)
        for part in (range(2), range(2, taps))
    ]
    torch.testing.assert_close(sum(parts), sum_products(products.view(-1, 3), pyramid, range(taps)))


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
        factorized, 'sum_products', lambda *a: calls.append(a[2]) or sum_products(*a)
    )
    monkeypatch.setattr(factorized, 'MAX_BYTES', 4 * 7 * 5 * 4 * x.element_size())
    tolerance = dict(rtol=2e-2, atol=5e-2) if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(every(), expected, **tolerance)
    assert calls == [range(4), range(4, 8), range(8, 9)] * 2  # of two images


def test_rows_worked_out_in_inference_mode_serve_training_too(generator):
    x = torch.randn(1, 4, 6, 11, generator=generator)
    weight = torch.randn(3, 4, 3, 3, generator=generator, requires_grad=True)
    with torch.inference_mode():
        expected = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out.sum().backward()
    assert torch.equal(out, expected)
    assert weight.grad.abs().sum() > 0
