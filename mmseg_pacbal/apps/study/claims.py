"""Claims, by which a process tells others, on this node and elsewhere, that it works on a run."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

# After so many seconds without a renewal, by its own clock, another process takes over a claim.
LEASE_SECONDS = 60.0


class ClaimedError(RuntimeError):
    """Another process works on the run."""


@contextmanager
def claim(record: Path, folder: Path, patience: float, lost: Callable[[], None]) -> Iterator[int]:
    """Keep other processes away from a run's record and folder; yields a file descriptor.

    A lease file next to the record and one in the folder tell other nodes, on any storage that
    they share, that the owner is alive. A tool that inherits the descriptor keeps the folder locked
    on this node while it runs, even if the owner is killed.

    Args:
        record: Where the run's record is written.
        folder: Its folder, which must exist.
        patience: How many seconds to wait for another process. It takes more than LEASE_SECONDS to
            find out that a process is dead.
        lost: Called from another thread if another process took over the claim, because it could
            not be renewed (for example, the storage could not be reached).

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
    """Watches another process's claim without claiming anything.

    Args:
        record: As in :func:`claim`.
        folder: As in :func:`claim`.
    """

    def __init__(self, record: Path, folder: Path) -> None:
        self._leases = _leases(record, folder)
        self._signs: list[int] = []
        self._since = 0.0

    def ended(self) -> bool:
        """Whether it was released, or not renewed for LEASE_SECONDS."""
        signs = []
        for path in self._leases:
            with suppress(FileNotFoundError):
                signs.append(path.stat().st_mtime_ns)
        if signs != self._signs:
            self._signs, self._since = signs, time.monotonic()
        return not signs or time.monotonic() - self._since > LEASE_SECONDS


def _leases(record: Path, folder: Path) -> list[Path]:
    return [record.with_suffix('.lease'), folder / 'lease']
