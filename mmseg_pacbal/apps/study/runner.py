"""Runs a study, or what is left of it, to its end, in a pool of threads or on a cluster."""

import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from .claims import LEASE_SECONDS, ClaimWatch
from .execution import Outcome, Workplace, execute
from .plan import Run
from .records import readable_records
from .tool_processes import stop_tools


class StudyRunner:
    """Runs of a study that can be stopped at any moment and started again, anywhere.

    A run is finished when its JSON file exists, and it is never repeated; one whose training was
    stopped continues from its last checkpoint. A run that another process works on is left to that
    process for as long as it is alive.

    Args:
        runs: The runs of the study.
        place: The folders, shared by all processes that work on the study.
        pool: Executes the runs.

    Attributes:
        failed: A sentence for each run that failed.
    """

    def __init__(self, runs: list[Run], place: Workplace, pool: Executor) -> None:
        self.runs = runs
        self.place = place
        self.pool = pool
        self.failed: list[str] = []
        self._pending: dict[Future, Run] = {}
        self._claimed: list[tuple[Run, ClaimWatch]] = []  # by other processes

    def iterations_done(self) -> int:
        """Iterations that all runs have done so far, according to their logs."""
        return sum(self.place.iteration(run) for run in self.runs)

    def runs_finished(self) -> int:
        return sum(self.place.record(run).exists() for run in self.runs)

    def start(self) -> None:
        """Hand every run that is not finished to the pool.

        Files beside the records of any study on this data set that hold no record are named.

        Raises:
            ValueError: A record belongs to a run with other settings, or its file holds none.
        """
        readable_records(self.place.sibling_records())
        for run in [run for run in self.runs if not self.place.finished(run)]:
            self._submit(run)

    def wait(self, seconds: float) -> bool:
        """Wait for runs to end; False once all have."""
        if not self._pending:
            time.sleep(seconds)
        ended, _ = wait(self._pending, seconds, FIRST_COMPLETED)
        for future in ended:
            self._settle(self._pending.pop(future), future)
        claimed, self._claimed = self._claimed, []
        for run, watch in claimed:
            if watch.ended():
                self._submit(run, 1.5 * LEASE_SECONDS)  # a dead owner's lease has to expire first
            else:
                self._claimed.append((run, watch))
        return bool(self._pending or self._claimed)

    def stop(self) -> None:
        """Let the runs of this machine write their checkpoints and end; runs on Ray are ended."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        while any(future.running() for future in self._pending):
            stop_tools()
            wait(self._pending, 1)

    def _submit(self, run: Run, patience: float = 0) -> None:
        self._pending[self.pool.submit(execute, run, self.place, patience)] = run

    def _settle(self, run: Run, future: Future) -> None:
        error = future.exception()
        if error is not None:
            self.failed.append(f'{run.name}: {error}')
        elif future.result() is Outcome.CLAIMED:
            watch = ClaimWatch(self.place.record(run), self.place.notes(run))
            self._claimed.append((run, watch))
        elif future.result() is Outcome.STOPPED:
            self._submit(run)
