"""The tools of a study's runs, as child processes that end soon after this one does."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from ...openmmlab.engine.processes import STOPPED

_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_running: dict[Path, subprocess.Popen] = {}


def run_tool(
    tool: Path,
    *arguments: object,
    log: Path,
    cwd: Path,
    lock: int,
    processes: int = 1,
    gpus: str | None = None,
) -> bool:
    """Run a tool to its end, or until a signal stops it, in which case the result is False.

    Args:
        tool: ``train.py`` or ``test.py``.
        arguments: Arguments of the tool.
        log: The tool's output is appended to this file.
        cwd: Folder in which it is started.
        lock: A file descriptor that the tool keeps open.
        processes: Number of processes; several are started by ``torchrun``.
        gpus: Indices of the GPUs that it sees, such as ``'0,1'``; None: those of this process.

    Raises:
        RuntimeError: The tool failed; the message says why and names the log.
    """
    command = [sys.executable, tool, *arguments]
    if processes > 1:
        torchrun = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
        command = [sys.executable, *torchrun, tool, *arguments, '--launcher', 'pytorch']
    with open(log, 'a') as file:
        start = file.tell()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=os.environ | ({} if gpus is None else dict(CUDA_VISIBLE_DEVICES=gpus)),
            pass_fds=[lock],
            preexec_fn=_end_with_parent if _LIBC else None,
        )
    _running[log] = process
    try:
        code = process.wait()
    finally:
        _running.pop(log)
    said = log.read_bytes()[start:].decode(errors='replace')
    # torchrun exits with its own code if processes were stopped.
    stopped = processes > 1 and re.search('stopped by .* after iteration', said)
    if code in (STOPPED, -signal.SIGTERM) or (code and stopped):
        return False
    if code:
        errors = re.findall('^error: (.*)', said, re.MULTILINE)
        reason = errors[-1] if errors else f'{tool.name} ended with code {code}'
        raise RuntimeError(f'{reason} (log: {log})')
    return True


def stop_tools(log: Path | None = None) -> None:
    """Make this process's tools, or the one with a given log, write a checkpoint and end."""
    for name, process in list(_running.items()):
        if log in (None, name):
            process.terminate()


def _end_with_parent() -> None:
    """Between fork and exec: ask the kernel to send SIGTERM when the parent ends."""
    assert _LIBC
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
