"""Where NumPy's arrays begin in memory, and with them OpenCV's and what torch takes over.

Libraries work in blocks that begin at multiples of 16, 32 or 64 bytes, and may round differently
what lies before the first of them. ``malloc`` promises a multiple of 16 only, so that a run meets
one case or another. Here a test chooses, by NumPy's own interface for allocators (NEP 49).
"""

import ctypes
import functools
import itertools
import random
import sys

import numpy as np
import pytest
import torch

LINE = 64  # bytes
HERE = ctypes.c_void_p
SIZE = ctypes.c_size_t

if sys.platform != 'linux':
    pytest.skip('memory is moved by means of glibc', allow_module_level=True)
_libc = ctypes.CDLL(None)
_libc.malloc.restype = HERE
_libc.malloc.argtypes = [SIZE]
_libc.free.argtypes = _libc.malloc_usable_size.argtypes = [HERE]
_libc.malloc_usable_size.restype = SIZE
_places = itertools.repeat(0)


def move(offset: int | None = None, seed: int | str = 0) -> None:
    """Have every further array of this thread begin ``offset`` bytes after a multiple of 64.

    Without an offset each array begins at another multiple of 8, in the random order of ``seed``,
    which repeats.
    """
    global _places
    drawn = random.Random(seed).choices(range(0, LINE, 8), k=997)
    _places = itertools.cycle(drawn) if offset is None else itertools.repeat(offset)
    _use_handler()


def move_torch() -> None:
    """Have random tensors begin there, too; torch's own memory begins at multiples of 64."""
    for name in ('rand', 'randn', 'randint'):
        setattr(torch, name, _on_numpy_memory(getattr(torch, name)))


def _on_numpy_memory(make):
    @functools.wraps(make)
    def moved(*args, **options):
        made = make(*args, **options)
        if made.device.type != 'cpu' or made.dtype == torch.bfloat16:
            return made
        copy = torch.from_numpy(made.detach().numpy().copy())
        return copy.requires_grad_(made.requires_grad)

    return moved


# A block begins with the distance from what malloc gave, in the byte before NumPy's data.


def _malloc(_, size):
    start = _libc.malloc(size + 2 * LINE)
    shift = LINE - start % LINE + next(_places)
    ctypes.c_uint8.from_address(start + shift - 1).value = shift
    return start + shift


def _calloc(_, count, size):
    data = _malloc(None, count * size)
    ctypes.memset(data, 0, count * size)
    return data


# Arrays may outlive this module when Python ends, so these names are bound here.
def _free(_, data, size, free=_libc.free, byte=ctypes.c_uint8.from_address):
    if data:
        free(data - byte(data - 1).value)


def _realloc(_, data, size):
    new = _malloc(None, size)
    if data:
        shift = ctypes.c_uint8.from_address(data - 1).value
        held = _libc.malloc_usable_size(data - shift) - shift
        ctypes.memmove(new, data, min(size, held))
        _free(None, data, size)
    return new


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of NumPy's C interface."""

    _fields_ = (
        ('name', ctypes.c_char * 127),
        ('version', ctypes.c_uint8),
        *((name, HERE) for name in ('context', 'malloc', 'calloc', 'realloc', 'free')),
    )


_calls = (
    ctypes.CFUNCTYPE(HERE, HERE, SIZE)(_malloc),
    ctypes.CFUNCTYPE(HERE, HERE, SIZE, SIZE)(_calloc),
    ctypes.CFUNCTYPE(HERE, HERE, HERE, SIZE)(_realloc),
    ctypes.CFUNCTYPE(None, HERE, HERE, SIZE)(_free),
)
_handler = _Handler(b'moved', 1, None, *(ctypes.cast(call, HERE) for call in _calls))
for kept in (_calls, _handler):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


@functools.cache
def _use_handler() -> None:
    python = ctypes.pythonapi
    python.PyCapsule_GetPointer.restype = HERE
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    python.PyCapsule_New.restype = ctypes.py_object
    python.PyCapsule_New.argtypes = [HERE, ctypes.c_char_p, HERE]
    multiarray = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    table = python.PyCapsule_GetPointer(multiarray._ARRAY_API, None)
    set_handler = ctypes.cast(table, ctypes.POINTER(HERE))[304]  # PyDataMem_SetHandler
    handler = python.PyCapsule_New(ctypes.addressof(_handler), b'mem_handler', None)
    ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(set_handler)(handler)
