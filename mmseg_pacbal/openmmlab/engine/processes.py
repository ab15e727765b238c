"""Several processes, with or without GPUs: how they start and how they end."""

import atexit
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import Finalize
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import get_backend
from mmseg.registry import MODEL_WRAPPERS
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from ...configs import set_values, type_class, type_name, walk

# EX_TEMPFAIL of sysexits.h (which Windows lacks): if the command is started again, it continues.
STOPPED = 75
SYNC_NORMS = ('SyncBN', 'SyncBatchNorm')  # in a config that names its types, or that imports them
# What schedulers send before a time limit and on preemption; Windows has no SIGUSR1.
SIGNALS = [getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1') if hasattr(signal, name)]


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Exit with code 75 on a signal for which no PreemptionHook is there yet, or at all."""

    def stop(number: int, frame: object) -> NoReturn:
        name = signal.Signals(number).name
        print(f'stopped by {name} without a checkpoint; resume the run to continue', flush=True)
        raise SystemExit(STOPPED)

    earlier = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def start_processes(cfg: Config, launcher: str, local_rank: int) -> None:
    """Set the launcher; without a GPU, several processes communicate through gloo.

    ``model_wrapper_cfg``, ``find_unused_parameters`` and the timeout in ``env_cfg.dist_cfg`` mean
    what they mean with GPUs. ``local_rank``, the process's rank on its machine, is used if the
    launcher does not set it. The config is changed in place; every change is printed.
    """
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if launcher in ('pytorch', 'slurm') and not torch.cuda.is_available():
        if launcher == 'slurm':
            _set_torchrun_variables(os.environ)
        store, rank, size = next(dist.rendezvous('env://'))
        store = fresh_store_prefix(store, rank, size)
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        timeout = None if seconds is None else timedelta(seconds=seconds)
        dist.init_process_group('gloo', timeout=timeout, store=store, rank=rank, world_size=size)
        set_values([('', cfg)], 'model_wrapper_cfg', _wrapper_without_gpus(cfg))
        norms = [place for place in walk(cfg._cfg_dict) if type_name(place[1]) in SYNC_NORMS]
        set_values(norms, 'type', 'BN')  # SyncBN of torch needs a GPU
        if cfg.get('sync_bn'):  # by which mmengine makes SyncBN of every norm
            set_values([('', cfg)], 'sync_bn', None)


def _wrapper_without_gpus(cfg: Config) -> dict:
    """The config's own wrapper of the model, or mmengine's default; mmengine adds a GPU to both."""
    unused = cfg.get('find_unused_parameters', False)
    default = dict(broadcast_buffers=False, find_unused_parameters=unused)
    wrapper = dict(cfg.get('model_wrapper_cfg') or default)
    wrapper.setdefault('type', 'MMDistributedDataParallel')
    if issubclass(type_class(MODEL_WRAPPERS, wrapper), DistributedDataParallel):
        wrapper['device_ids'] = None
    return wrapper


def fresh_store_prefix(store: 'dist.Store', rank: int, size: int) -> 'dist.Store':
    """The same part of a store for all processes, one that earlier processes have not used.

    When torchrun starts lost processes again, they share the store of their predecessors. From
    torch 2.13 on, a process could read the address of a dead one there, and wait for it until
    gloo's timeout of half an hour.

    Rank 0 names the part. Each other rank reports under a new name until rank 0 answers to that
    name: what was read from a predecessor of rank 0 is never answered.
    """
    token = uuid.uuid4().hex
    if rank == 0:
        store.set('part', token)
        for other in range(1, size):
            name = store.get(f'{token}/{other}').decode()  # waits for it
            store.set(f'{token}/{other}/{name}', 'answered')
        return dist.PrefixStore(token, store)
    while True:
        part = store.get('part').decode()
        store.set(f'{part}/{rank}', token)
        with suppress(dist.DistStoreError):  # no answer yet, or never
            store.wait([f'{part}/{rank}/{token}'], timedelta(seconds=1))
            return dist.PrefixStore(part, store)


def _set_torchrun_variables(environment: MutableMapping[str, str]) -> None:
    """Set torchrun's variables from Slurm's, as mmengine does for GPUs."""
    if 'MASTER_ADDR' not in environment:
        command = ['scontrol', 'show', 'hostname', environment['SLURM_NODELIST']]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        environment['MASTER_ADDR'] = listed.split()[0]
    environment.setdefault('MASTER_PORT', '29500')
    for name, theirs in (('RANK', 'PROCID'), ('WORLD_SIZE', 'NTASKS'), ('LOCAL_RANK', 'LOCALID')):
        environment[name] = environment[f'SLURM_{theirs}']


def protect_workers(loader: DataLoader) -> None:
    """Have the workers of a data loader outlive signals: see :func:`ignore_stop_signals`."""
    ending = RawValue('b', 0)
    # Where the loader goes, or this process ends; there multiprocessing sends SIGTERM afterwards.
    Finalize(loader, setattr, (ending, 'value', 1), exitpriority=0)
    loader.worker_init_fn = partial(ignore_stop_signals, loader.worker_init_fn, ending)


def ignore_stop_signals(then: Callable[[int], None] | None, ending: Any, worker: int) -> None:
    """Start a worker of a data loader that outlives a signal to its whole process group.

    The training process reacts to the signal by writing a checkpoint, and until then it still
    reads data. A worker that it has not ended after two minutes ends itself. ``ending`` is shared
    memory; its value is not 0 once SIGTERM comes from the process that trains.
    """

    def on_sigterm(*_: object) -> None:
        if ending.value:
            os._exit(0)  # as torch's handler does, which this one replaces
        signal.alarm(120)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'SIGUSR1'):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, on_sigterm)
    if then is not None:
        then(worker)


def end_process(code: int) -> None:
    """End this process with an exit code; under gloo, skip Python's own shutdown.

    Threads of gloo release tensors some time after a collective has returned, and one that then
    waits for the interpreter aborts the process. Other processes may be waiting for this one.
    """
    if get_backend() == 'gloo':
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        sys.exit(code)
