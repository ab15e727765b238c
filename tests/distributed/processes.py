"""Run a function in several processes that communicate through gloo."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.multiprocessing as mp

import mmseg_pacbal  # noqa: F401 (before OpenMMLab, whose imports it patches)

# Parts of a batch of 5 images, one for each process, none of them alike.
PARTS = {2: (slice(0, 4), slice(4, 5)), 4: (slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 5))}


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def run_processes(world_size: int, function: Callable[[slice], object], folder: Path) -> list:
    """What ``function`` returns in each process for its part of the batch, process by process.

    ``function`` is one of a module's top level: every process imports it anew.
    """
    arguments = (world_size, free_port(), function, str(folder))
    processes = mp.spawn(_run, arguments, nprocs=world_size, join=False)
    deadline = time.monotonic() + 300
    try:
        while not processes.join(timeout=10):
            assert time.monotonic() < deadline, 'the processes did not end within five minutes'
    finally:
        for process in processes.processes:
            process.kill()
    return [torch.load(Path(folder, f'{rank}.pt')) for rank in range(world_size)]


def _run(rank: int, world_size: int, port: str, function: Callable, folder: str) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    torch.set_num_threads(1)
    os.chdir(folder)  # mmengine collects results in a folder of the current one
    torch.distributed.init_process_group('gloo', rank=rank, world_size=world_size)
    torch.save(function(PARTS[world_size][rank]), f'{rank}.pt')
    torch.distributed.barrier()
    # Without the destructors of gloo and DDP, which now and then wait for each other for ever.
    os._exit(0)
