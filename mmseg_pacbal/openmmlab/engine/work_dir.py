"""One training at a time in a work dir, whichever processes and machines share it; its records."""

from __future__ import annotations  # names of filelock may be missing, see below

import _thread
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    from filelock import LeaseCompromise, OwnerRecord, SoftFileLease, Timeout
except ImportError:  # openmim 0.3.9 brings filelock 3.14, which has no leases
    HAS_LEASES = False
else:
    HAS_LEASES = True

# A process that trains renews its lock every RENEWAL seconds. One that has not for LEASE seconds,
# by the clock of the process that waits, is gone.
LEASE, RENEWAL = 60.0, 5.0


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keep other trainings out of a work dir; within one process, this may be nested.

    A file in the folder names the process: locks of the file system work differently on every
    system. The lock of a process that is gone is taken over, on the same machine at once, else
    after a minute without a renewal. What a training that was killed had half written is removed.
    With a filelock older than 3.30, nothing is locked, and a warning says so.
    """
    if not HAS_LEASES:
        warnings.warn(
            f'{folder} is not locked, since the filelock that is installed is older than 3.30: '
            'start no second training there, or pip install "filelock>=3.30"',
            stacklevel=3,
        )
        yield
        return
    path = Path(folder).resolve() / 'training.lock'
    lease = _lease(path, on_compromise=_end_if_taken_over, timeout=0, is_singleton=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        acquired = _acquire(lease, path)
    except OSError as error:
        raise OSError(
            f'work_dir {folder} cannot be written ({error.strerror}); make it writable, or train '
            'in another work_dir'
        ) from error
    if not acquired:
        raise BlockingIOError(
            f'another training, {_name(lease.owner)}, works in {path.parent}; wait for its end, or '
            'train in another work_dir'
        )
    try:
        for partial in path.parent.glob('*.pth*.partial'):
            partial.unlink(missing_ok=True)
        yield
    finally:
        lease.release()


def logged_scalars(folder: str | Path) -> Iterator[dict]:
    """What training logged in a work dir, from all its starts."""
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            with suppress(json.JSONDecodeError):  # a line that was cut off when a run was killed
                yield json.loads(line)


def _lease(path: Path, **options: Any) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=LEASE, heartbeat_interval=RENEWAL, **options)


def _acquire(lease: SoftFileLease, path: Path) -> bool:
    """Acquire the lock; False if its owner renews it, and so is alive."""
    owner, nested, before = lease.owner, lease.is_locked, _renewal(path)
    start = time.monotonic()
    said = f'{path.parent} is locked by {_name(owner)}: looking whether it still runs'
    while True:
        with suppress(Timeout):
            lease.acquire()
            break
        if said:
            print(said, flush=True)
            said = ''
        if _renewal(path) not in (before, None):
            return False
        if time.monotonic() - start > LEASE + RENEWAL:
            lease.force_break()  # NFS, for one, cannot exchange two files, as filelock would
        time.sleep(min(0.5, RENEWAL / 2))
    if owner and not nested:
        print(f'{path.parent} was locked by {_name(owner)}, which is gone: the lock is taken over')
    return True


def _renewal(path: Path) -> tuple[int, int] | None:
    """What changes when a lock is renewed or taken over; None if it is gone."""
    with suppress(OSError), open(path) as file:  # opened, so that NFS asks the server
        status = os.fstat(file.fileno())
        return status.st_ino, status.st_mtime_ns
    return None


def _name(owner: OwnerRecord | None) -> str:
    return f'process {owner.pid} on {owner.hostname.partition("?")[0]}' if owner else 'a process'


def _end_if_taken_over(lost: LeaseCompromise) -> None:
    """Called from another thread if the lock could not be renewed, or was removed."""
    path = Path(lost.lock_file)
    owner = _lease(path).owner
    if owner is None or owner.token == lost.token:
        said = (
            f'the lock {path} was removed or could not be renewed: a second training in its '
            'folder will not be refused'
        )
    else:
        said = (
            f'error: {_name(owner)} has taken over {path.parent}, since this process had not '
            'renewed its lock for a minute; this training ends'
        )
        _thread.interrupt_main()
    print(said, file=sys.stderr)
