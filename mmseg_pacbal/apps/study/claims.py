"""Claims, by which a process tells others, on this node and elsewhere, that it works on a run."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import SoftFileLease, Timeout

# After so many seconds without a renewal, by its own clock, another process takes over a claim.
LEASE_SECONDS = 60.0


class ClaimedError(RuntimeError):
    """Another process works on the run."""


@contextmanager
def claim(
    record: Path,
    folder: Path,
    patience: float,
    lost: Callable[[], None],
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[int]:
    """Keep other processes away from a run's record and folder; yields a file descriptor.

    Lease files beside the record and in the folder tell other nodes, on any storage that they
    share, that the owner is alive; ``lost`` is called from another thread if they could not be
    renewed. A tool that inherits the descriptor keeps the folder locked on this node while it runs,
    even if the owner is killed. After ``patience`` seconds, or once ``cancelled``, raises
    ClaimedError.
    """
    with ExitStack() as held:
        try:
            for path in (record.with_suffix('.lease'), folder / 'lease'):
                path.parent.mkdir(parents=True, exist_ok=True)
                lease = SoftFileLease(
                    path, lease_duration=LEASE_SECONDS, on_compromise=lambda _: lost()
                )
                held.enter_context(lease.acquire(patience, 0.5, cancel_check=cancelled))
            file = held.enter_context(open(folder / 'lock', 'w'))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (Timeout, BlockingIOError) as error:
            raise ClaimedError(f'another process works in {folder}') from error
        yield file.fileno()
