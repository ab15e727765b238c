"""What a terminal shows of a training, and what of it stands in the log file alone."""

import os
import pty
import re
import subprocess
from contextlib import suppress

import pytest

from tests.running import DEMO, ROOT, small, tool_command

FEW = ['max_iters=6', 'train_cfg.val_interval=3', 'val_dataloader.dataset.indices=4']


def on_terminal(command: list[str]) -> str:
    """What a command writes to a terminal of 100 columns."""
    terminal, end = pty.openpty()
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'COLUMNS': '100', 'TERM': 'xterm'}
    process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    parts = []
    with suppress(OSError):  # of a terminal whose other end is closed
        while part := os.read(terminal, 65536):
            parts.append(part)
    os.close(terminal)
    assert process.wait() == 0, b''.join(parts).decode()
    return b''.join(parts).decode()


@pytest.mark.slow
def test_training_on_a_terminal(data, tmp_path):
    options = ['--work-dir', tmp_path, *small(data, 'default_hooks.logger.interval=2', *FEW)]
    said = on_terminal(tool_command('train', DEMO, *options))
    assert re.search('Training .*6/6', said)
    assert 'Iter(train) [6/6]' in said
    for harmless in ('Warning', 'WARNING', 'deprecated', 'Failed to search registry', 'Config:'):
        assert harmless not in said
    assert len(re.sub('\x1b[^m]*m', '', said).splitlines()) < 120  # 570 before
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert '\x1b' not in log
    assert 'Config:\n' in log
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')
