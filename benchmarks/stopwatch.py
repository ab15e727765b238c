"""Where the time of one call goes: each part's own time, without that of the parts inside it."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

REST = 'rest'


class Stopwatch:
    """Counts the seconds of a call by phase.

    Phases may lie inside one another: at every moment the innermost one is charged, so that all
    phases together make up the whole call. What no phase covers is :data:`REST`.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._seconds: Counter[str] = Counter()
        self._phases: list[str] = []
        self._mark = 0.0

    def time(self, run: Callable[[], object]) -> dict[str, float]:
        """Seconds of each phase in one call."""
        self._seconds.clear()
        with self.phase(REST):
            run()
        return dict(self._seconds)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what runs inside to a phase."""
        self._charge()
        self._phases.append(name)
        try:
            yield
        finally:
            self._charge()
            self._phases.pop()

    def timed(self, function: Callable, name: str) -> Callable:
        """The same function, charged to a phase."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return function(*args, **kwargs)

        return run

    def watch(self, owner: object, name: str, phase: str) -> None:
        """Charge a method of one object to a phase, from now on."""
        setattr(owner, name, self.timed(getattr(owner, name), phase))

    def _charge(self) -> None:
        now = self.now()
        if self._phases:
            self._seconds[self._phases[-1]] += now - self._mark
        self._mark = now
