"""Several processes, with or without GPUs: how they start and how they end."""

import atexit
import os
import sys
from typing import NoReturn

import torch
from mmengine.config import Config
from mmengine.dist import get_backend

from ...configs import set_values, walk


def start_processes(cfg: Config, launcher: str, local_rank: int) -> None:
    """Set the launcher; without a GPU, several processes communicate through gloo.

    Args:
        cfg: Changed in place; every change is printed.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        local_rank: Rank of this process on its machine, used if the launcher does not set it.
    """
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')
        wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None)
        set_values([('', cfg)], 'model_wrapper_cfg', wrapper)
        norms = [place for place in walk(cfg._cfg_dict) if place[1].get('type') == 'SyncBN']
        set_values(norms, 'type', 'BN')  # SyncBN of torch needs a GPU


def end_process(code: int) -> None:
    """End this process with an exit code; under gloo, skip Python's own shutdown.

    Threads of gloo release a collective's tensors some time after the collective has returned. A
    thread that waits for the interpreter during shutdown aborts the process, and
    ``destroy_process_group`` does not wait for such threads, since ``DistributedDataParallel``
    keeps the group. Other processes are not waited for: after an error they may wait for this one.
    """
    if get_backend() == 'gloo':
        _leave_at_once(code)
    if code:
        sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
