"""Triton kernels under the names of their plain forms; imported where they are asked for."""

from .. import custom_op
from . import shifted_products

custom_op.register('triton', shifted_products.forward, shifted_products.backward)
