"""Who works on a run, told to other processes on this node and on others."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

# After so many seconds without a sign of life another process takes a claim over; it counts by its
# own clock.
LEASE_SECONDS = 60.0


class ClaimedError(RuntimeError):
    """Another process works on the run."""


@contextmanager
def claim(record: Path, folder: Path, patience: float, lost: Callable[[], None]) -> Iterator[int]:
    """Keep others from the run of a record and from its folder; yields a descriptor.

    A lease file beside each tells other nodes, on any storage that they share, that its owner
    lives. The descriptor, handed to a tool, keeps the folder on this node for as long as the tool
    lives, should its owner be killed.

    Args:
        record: Where the run's record is written.
        folder: Its folder, which exists.
        patience: How many seconds to wait for another process; to learn that one is dead takes
            more than LEASE_SECONDS.
        lost: Called from another thread when the claim was taken over after all, for want of signs
            of life (the storage could not be reached, say).

    Raises:
        ClaimedError: Another process has claimed one of them.
    """
    with ExitStack() as held:
        for path in _leases(record, folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            lease = SoftFileLease(
                path,
                lease_duration=LEASE_SECONDS,
                timeout=patience,
                poll_interval=0.5,
                on_compromise=lambda _: lost(),
            )
            try:
                held.enter_context(lease)
            except Timeout:
                raise ClaimedError(f'another process holds {path}') from None
        file = held.enter_context(open(folder / 'lock', 'w'))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClaimedError(f'another process works in {folder}') from None
        yield file.fileno()


class ClaimWatch:
    """Another process's claim, looked at without taking part.

    Args:
        record: As in :func:`claim`.
        folder: As in :func:`claim`.
    """

    def __init__(self, record: Path, folder: Path) -> None:
        self._leases = _leases(record, folder)
        self._signs: list[int] = []
        self._since = 0.0

    def ended(self) -> bool:
        """Whether it was given back, or showed no sign of life for LEASE_SECONDS."""
        signs = []
        for path in self._leases:
            with suppress(FileNotFoundError):
                signs.append(path.stat().st_mtime_ns)
        if signs != self._signs:
            self._signs, self._since = signs, time.monotonic()
        return not signs or time.monotonic() - self._since > LEASE_SECONDS


def _leases(record: Path, folder: Path) -> list[Path]:
    return [record.with_suffix('.lease'), folder / 'lease']
