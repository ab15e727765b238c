"""Which products a bag adds, by hand, and that gradients are summed by the transpose."""

import pytest
import torch

from mmseg_pacbal.ops import factorized, pyramid_atrous_conv2d
from mmseg_pacbal.ops.factorized import ShiftPattern, add_shifted, choose_by_rule, shifts

CPU = torch.device('cpu')


def test_sums_and_gradients_by_hand():
    # Three pixels in a row, one tap to the left, the centre, one to the right; of two images.
    products = torch.tensor([[1.0], [10], [100], [2], [20], [200], [3], [30], [300]])
    products = torch.cat([products, 2 * products])
    one_rate = ShiftPattern((1, 3), (1, 3), (1,), False, CPU)
    first = [10 + 200, 1 + 20 + 300, 32]
    assert add_shifted(products, one_rate).view(2, 3).tolist() == [first, [2 * v for v in first]]
    # At rate 2 the left tap of pixel 2 reads pixel 0, the right tap of pixel 0 reads pixel 2.
    two_rates = one_rate._replace(rates=(1, 2))
    assert add_shifted(products, two_rates)[:3].flatten().tolist() == [520, 341, 63]
    apart = two_rates._replace(concat=True)
    expected = [[210, 310], [321, 20], [32, 31]]
    assert add_shifted(products, apart)[:6].view(3, 2).tolist() == expected
    # The left tap's product of pixel 0 enters pixels 1 and 2, the centre's enters twice.
    grads = torch.tensor([[1.0], [10], [100]])
    expected = [[10 + 100, 2, 0], [100, 20, 1], [0, 200, 10 + 1]]
    assert add_shifted(grads, two_rates, True).view(3, 3).tolist() == expected


def test_shifts_by_hand():
    # Tap 1 of three is the centre: its shift is the same at both rates, so it counts twice.
    assert shifts((1, 3), (1, 4), concat=False) == [
        (0, 0, 0, -1, 1),
        (0, 0, 0, -4, 1),
        (1, 0, 0, 0, 2),
        (2, 0, 0, 1, 1),
        (2, 0, 0, 4, 1),
    ]
    assert [group for _, group, *_ in shifts((1, 1), (1, 4), concat=True)] == [0, 1]


@pytest.mark.parametrize(
    'pattern',
    [
        ShiftPattern((7, 5), (3, 3), (1, 3, 9), False, CPU),
        ShiftPattern((1, 4), (1, 3), (2, 2), False, CPU),
        ShiftPattern((6, 3), (5, 3), (1, 2), True, CPU),
    ],
    ids=str,
)
def test_gradients_are_summed_by_the_transpose(pattern, generator):
    (h, w), (kh, kw) = pattern.size, pattern.kernel
    outputs = len(pattern.rates) if pattern.concat else 1
    products = torch.randn(2 * h * w * kh * kw, 3, generator=generator, dtype=torch.float64)
    grads = torch.randn(2 * h * w * outputs, 3, generator=generator, dtype=torch.float64)
    forward = (add_shifted(products, pattern) * grads).sum()
    torch.testing.assert_close((products * add_shifted(grads, pattern, True)).sum(), forward)


def test_rule():
    found = [choose_by_rule(c, r) for c, r in ((32, range(1, 6)), (31, range(1, 6)), (9999, (2,)))]
    assert found == ['factorized', 'reference', 'reference']


@pytest.mark.parametrize(
    ('layout', 'dtype', 'bytes_of_images', 'parts'),
    [
        # Outputs in groups; contiguous images are matrices only one by one.
        (torch.contiguous_format, torch.float64, 1, [32, 18] * 3),
        (torch.channels_last, torch.float64, 1, [32, 18] * 3),
        (torch.channels_last, torch.float64, 2.5, [50 * 2, 50]),
        (torch.channels_last, torch.bfloat16, 3, [50 * 3]),
    ],
    ids=str,
)
@pytest.mark.parametrize('concat', [False, True], ids=['sum', 'concat'])
def test_parts_give_the_same(concat, layout, dtype, bytes_of_images, parts, generator, monkeypatch):
    x = torch.randn(3, 6, 7, 5, generator=generator, dtype=torch.float64).to(dtype)
    x = x.contiguous(memory_format=layout)
    weight = torch.randn(50, 6, 3, 3, generator=generator, dtype=torch.float64).to(dtype)
    grad = torch.randn(3, 150 if concat else 50, 7, 5, generator=generator).to(dtype)
    arguments = ((1, 3, 9), concat)

    def every() -> list[torch.Tensor]:
        out = factorized.forward(x, weight, *arguments)
        return [out, *factorized.backward(x, weight, grad, *arguments, (True, True))]

    monkeypatch.setattr(factorized, 'MAX_BYTES', 0 if bytes_of_images == 1 else 2**24)
    expected = every()
    calls = []
    monkeypatch.setattr(
        factorized,
        'add_shifted',
        lambda table, *a: calls.append(table.numel() // (9 * 35)) or add_shifted(table, *a),
    )
    of_an_image = 9 * 35 * 50 * x.element_size()
    limit = 17 * 9 * 41 * 8 if bytes_of_images == 1 else int(bytes_of_images * of_an_image)
    monkeypatch.setattr(factorized, 'MAX_BYTES', limit)
    tolerance = dict(rtol=2e-2, atol=5e-2) if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(every(), expected, **tolerance)
    assert sorted(calls[: len(parts)]) == sorted(parts)


def test_rows_worked_out_in_inference_mode_serve_training_too(generator):
    x = torch.randn(1, 4, 6, 11, generator=generator)
    weight = torch.randn(3, 4, 3, 3, generator=generator, requires_grad=True)
    with torch.inference_mode():
        expected = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out = pyramid_atrous_conv2d(x, weight, (1, 4), backend='factorized')
    out.sum().backward()
    assert torch.equal(out, expected)
    assert weight.grad.abs().sum() > 0
