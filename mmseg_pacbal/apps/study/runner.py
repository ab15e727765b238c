"""Runs a study, or what is left of it, to its end, on the devices of this machine or on Ray."""

import importlib.util
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any

from ...errors import one_sentence
from .claims import LEASE_SECONDS
from .execution import StudyPaths, execute, stop_tools
from .plan import Run
from .records import readable_records

RETRIES = 20  # how often Ray starts a run again whose node or worker died


class DevicePool:
    """Threads of this process, each of which executes runs on devices of its own, such as the GPUs
    ``'0'`` or ``'0,1'``; None stands for whatever is available.
    """

    def __init__(self, devices: Sequence[str | None]) -> None:
        self._threads = ThreadPoolExecutor(len(devices))
        self._free: SimpleQueue[str | None] = SimpleQueue()
        for gpus in devices:
            self._free.put(gpus)
        self._ended = threading.Event()

    def submit(self, run: Run, paths: StudyPaths, patience: float) -> Future:
        def call() -> bool:
            gpus = self._free.get()
            try:
                return execute(run, paths, patience, gpus, self._ended.is_set)
            finally:
                self._free.put(gpus)

        return self._threads.submit(call)

    def shutdown(self) -> None:
        """Start no other run, and let those that wait for another process give up."""
        self._ended.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


class RayPool:
    """Tasks of a Ray cluster, each on a node with room for it.

    A task whose node or worker dies is started again on another one, RETRIES times. It takes
    ``cpus`` CPUs and, if the cluster has GPUs, one for each process (``gpus``), and sees no others.
    When this process ends, Ray ends its tasks. ``address`` is that of ``--ray``.
    """

    def __init__(self, address: str, processes: int, cpus: int) -> None:
        if importlib.util.find_spec('ray') is None:
            raise ImportError('--ray needs Ray, which is not installed: pip install "ray>=2.40"')
        if address == 'local':  # a cluster that is started here must not report its usage
            os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
        import ray

        try:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise ConnectionError(
                f'no Ray cluster was found at {address!r}; start one (ray start --head), give '
                'another address, or --ray local for this machine alone'
            ) from error
        self.gpus = processes if ray.cluster_resources().get('GPU') else 0
        room = dict(CPU=cpus, GPU=self.gpus)
        nodes = [node['Resources'] for node in ray.nodes()]
        if not any(all(node.get(k, 0) >= n for k, n in room.items()) for node in nodes):
            print(f'no node of the cluster has {room}: the runs wait until one does')
        task: Any = ray.remote(execute)
        self._task = task.options(
            num_cpus=cpus, num_gpus=self.gpus, max_retries=RETRIES, scheduling_strategy='SPREAD'
        )
        self.shutdown = ray.shutdown  # leaves the cluster, which ends the tasks that still run

    def submit(self, run: Run, paths: StudyPaths, patience: float) -> Future:
        return self._task.remote(run, paths, patience).future()


class StudyRunner:
    """Runs of a study that can be stopped at any moment and started again, anywhere.

    A run is finished when its JSON file exists, and it is never repeated; one whose training was
    stopped continues from its last checkpoint. A run that another process works on is left to that
    process for as long as it is alive. All processes that work on a study share its ``paths``.
    """

    def __init__(self, runs: list[Run], paths: StudyPaths, pool: DevicePool | RayPool) -> None:
        self.runs, self.paths, self.pool = runs, paths, pool
        self.failed: list[str] = []  # a sentence for each run that failed
        self.first_error: BaseException | None = None
        self._pending: dict[Future, Run] = {}

    def iterations_done(self) -> int:
        """Iterations that all runs have done so far, according to their logs."""
        return sum(self.paths.iteration(run) for run in self.runs)

    def iterations_left(self) -> int:
        """Iterations that are still to be done; those of runs that failed are not."""
        return self._left_in(self._pending.values())

    def runs_finished(self) -> int:
        return sum(self.paths.record(run).exists() for run in self.runs)

    def start(self) -> None:
        """Take over the records of other studies, say what is left, and hand that to the pool.

        Files beside the records of any study on this data set that hold no record are named, and so
        is why data cannot be read, with which records would have to be compared.
        ValueError: a record belongs to a run with other settings or data, or its file holds none.
        If the data of all runs that are left has problems, the first is raised.
        """
        records = readable_records(self.paths.sibling_records())
        missing = [run for run in self.runs if not self.paths.finished(run)]
        # Of these, execute trains none.
        reusable = [run for run in missing if self.paths.reusable(run, records)]
        taken = [run for run in reusable if execute(run, self.paths)]
        left = [run for run in missing if run not in taken]
        problems = [run.problem for run in left if run.problem]
        if problems and len(problems) == len(left):
            raise problems[0]
        print(self._overview(left, len(taken)), flush=True)
        unread = [run.problem for run in self.runs if run.problem and run not in left]
        if unread:
            print(
                f'whether the records of {len(unread)} runs are of your data is not known, since '
                f'it cannot be read: {one_sentence(unread[0])}'
            )
        broken: dict[str, list[Run]] = defaultdict(list)
        for run in left:
            if run.problem:
                broken[one_sentence(run.problem)].append(run)
        for sentence, runs in broken.items():
            self._fail(runs, sentence, runs[0].problem)
        for run in left:
            if not run.problem:
                self._submit(run)

    def wait(self, seconds: float) -> bool:
        """Wait for runs to end; False once all have."""
        ended, _ = wait(self._pending, seconds, FIRST_COMPLETED)
        for future in ended:
            run = self._pending.pop(future)
            error = future.exception()
            if error is not None:
                self._fail([run], str(error), error)
            elif not future.result():
                # Stopped, or claimed by another process: behind all others, wait until that one has
                # finished or is known to be dead; the tool of a dead one needs a moment to end.
                time.sleep(seconds)
                self._submit(run, patience=1.5 * LEASE_SECONDS)
        return bool(self._pending)

    def stop(self) -> None:
        """Let the runs of this machine write their checkpoints and end; runs on Ray are ended."""
        self.pool.shutdown()
        while any(future.running() for future in self._pending):
            stop_tools()
            wait(self._pending, 1)

    def _overview(self, left: Sequence[Run], taken: int) -> str:
        """The cost of the study in runs and iterations."""
        lengths = [run.iterations for run in self.runs]
        each = ' to '.join(f'{length:,}' for length in sorted({min(lengths), max(lengths)}))
        count, finished = len(self.runs), len(self.runs) - len(left) - taken
        return (
            f'{count} run{"s" * (count > 1)} of {each} iterations: {finished} finished, {taken} '
            f'taken over from other studies, {len(left)} left with {self._left_in(left):,} '
            'iterations'
        )

    def _left_in(self, runs: Iterable[Run]) -> int:
        return sum(run.iterations - self.paths.iteration(run) for run in runs)

    def _fail(self, runs: Sequence[Run], sentence: str, error: BaseException | None) -> None:
        self.failed += [f'{run.name}: {sentence}' for run in runs]
        more = f' and {len(runs) - 1} more' if len(runs) > 1 else ''
        print(f'failed: {runs[0].name}{more}: {sentence}', flush=True)
        self.first_error = self.first_error or error

    def _submit(self, run: Run, patience: float = 0) -> None:
        self._pending[self.pool.submit(run, self.paths, patience)] = run


def device_groups(indices: Sequence[int] | None, processes: int) -> list[str | None]:
    """The GPUs of this machine, in groups of as many as a run has processes; None: any."""
    if indices is None:
        return [None]
    if len(indices) % processes:
        raise ValueError(
            f'{len(indices)} GPUs cannot be divided among runs of {processes} processes; give '
            f'--gpus {processes}, {2 * processes} or another multiple of {processes} GPUs'
        )
    starts = range(0, len(indices), processes)
    return [','.join(map(str, indices[start : start + processes])) for start in starts]
