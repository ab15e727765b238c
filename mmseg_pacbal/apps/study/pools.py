"""Where a study's runs are executed: on the devices of this machine, or on a Ray cluster."""

import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

# How often Ray starts a run again whose node or worker died.
RETRIES = 20


class DevicePool(ThreadPoolExecutor):
    """Threads of this process, one for each device, which they pass to their function as ``gpus``.

    Args:
        devices: Indices of the GPUs that a run takes, such as ``'0'`` or ``'0,1'``; None uses
            whatever is available.
    """

    def __init__(self, devices: Sequence[str | None]) -> None:
        super().__init__(len(devices))
        self._free: SimpleQueue[str | None] = SimpleQueue()
        for device in devices:
            self._free.put(device)

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        return super().submit(self._run, function, *args, **kwargs)

    def _run(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        device = self._free.get()
        try:
            return function(*args, **kwargs, gpus=device)
        finally:
            self._free.put(device)


class RayPool(Executor):
    """Tasks of a Ray cluster, each on a node with room for it.

    A task whose node or worker dies is started again on another one, RETRIES times. When this
    process ends, Ray ends its tasks.

    Args:
        address: ``'auto'`` finds a running cluster, ``'local'`` starts one on this machine, and
            ``HOST:PORT`` names one.
        processes: Processes of a task. If the cluster has GPUs, a task takes one for each process
            and sees no others.
        cpus: CPUs of a task.

    Attributes:
        gpus: GPUs of a task.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: There is no such cluster.
    """

    def __init__(self, address: str, processes: int, cpus: int) -> None:
        if importlib.util.find_spec('ray') is None:
            raise ImportError("--ray needs Ray, which is not installed: pip install -e '.[ray]'")
        if address == 'local':  # a cluster that is started here must not report its usage
            os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
        import ray

        self._ray = ray
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise ConnectionError(
                f'no Ray cluster was found at {address!r}; start one (ray start --head), give '
                'another address, or --ray local for this machine alone'
            ) from error
        self.gpus = processes if ray.cluster_resources().get('GPU') else 0
        room = dict(CPU=cpus, GPU=self.gpus)
        if not any(_fits(room, node['Resources']) for node in ray.nodes()):
            print(f'no node of the cluster has {room}: the runs wait until one does')
        self._task = ray.remote(_call).options(
            num_cpus=cpus, num_gpus=self.gpus, max_retries=RETRIES, scheduling_strategy='SPREAD'
        )

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        return self._task.remote(function, *args, **kwargs).future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which ends the tasks that still run."""
        self._ray.shutdown()


def device_groups(indices: Sequence[int] | None, processes: int) -> list[str | None]:
    """The GPUs of this machine, in groups of which each run takes one.

    Args:
        indices: Indices of the GPUs; None: one run at a time takes whatever is available.
        processes: Processes of a run, each of which needs a GPU.

    Raises:
        ValueError: The GPUs cannot be divided evenly among runs.
    """
    if indices is None:
        return [None]
    if len(indices) % processes:
        raise ValueError(
            f'{len(indices)} GPUs cannot be divided among runs of {processes} processes; give '
            f'--gpus {processes}, {2 * processes} or another multiple of {processes} GPUs'
        )
    starts = range(0, len(indices), processes)
    return [','.join(map(str, indices[start : start + processes])) for start in starts]


def _call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _fits(room: dict[str, int], resources: dict[str, float]) -> bool:
    return all(resources.get(name, 0) >= amount for name, amount in room.items())
