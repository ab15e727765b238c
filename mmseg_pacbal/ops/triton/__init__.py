"""Triton kernels under the names of their plain forms; imported where they are asked for."""
