"""What torch's and mmengine's counters count for PAC: the products that all rates share."""

import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.analysis.complexity_analysis import parameter_count
from torch.utils.flop_counter import FlopCounterMode

from mmseg_pacbal.layers import PyramidAtrousConv

PRODUCTS = 5 * 6 * 8 * 4 * 9  # H W C_in C_out kh kw


@pytest.mark.parametrize('merge', ['sum', 'concat'])
def test_mmengine_counts_products(merge):
    pac = PyramidAtrousConv(8, 4, rates=(1, 3), merge=merge, backend='factorized')
    squeeze = 5 * 6 * (parameter_count(pac)[''] - parameter_count(pac)['weight'] - 4)
    found = get_model_complexity_info(pac, input_shape=(8, 5, 6))
    assert found['flops'] == PRODUCTS + (squeeze if merge == 'concat' else 0)


def test_one_rate_counts_as_the_convolution_that_it_is():
    pac = [PyramidAtrousConv(8, 4, rates=(2,), backend=b) for b in ('factorized', 'reference')]
    counts = [get_model_complexity_info(module, input_shape=(8, 5, 6)) for module in pac]
    assert counts[0]['flops'] == counts[1]['flops'] == PRODUCTS


def test_torch_counts_forward_and_backward():
    pac = PyramidAtrousConv(8, 4, rates=(1, 3), backend='factorized')
    x = torch.randn(2, 8, 5, 6)
    for requires_grad, gradients in ((False, 1), (True, 2)):
        with FlopCounterMode(display=False) as counted:
            pac(x.requires_grad_(requires_grad)).sum().backward()
        assert counted.get_total_flops() == 2 * 2 * PRODUCTS * (1 + gradients)
