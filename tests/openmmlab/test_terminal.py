"""What is shown while a job runs, on a terminal and elsewhere."""

import io
import logging
import os
import pty
import re
import subprocess
from contextlib import suppress

import pytest
import torch
from mmengine.registry import FUNCTIONS
from rich.console import Console

from mmseg_pacbal.openmmlab import terminal
from tests.openmmlab.engine.tiny_run import DropoutModel, train
from tests.running import DEMO, ENVIRONMENT, small, tool_command


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch) -> Screen:
    """Standard error is a terminal."""
    screen = Screen()
    monkeypatch.setattr(terminal, 'REFRESH', 0.0)
    console = Console(file=screen, force_terminal=True, color_system=None, width=100)
    monkeypatch.setattr(terminal, 'Console', lambda **_: console)
    return screen


def test_plain_lines_where_there_is_no_terminal(monkeypatch, capsys):
    clock = iter([0.0, 2.0, 6.0, 14.0, 25.0])
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: next(clock))
    assert list(terminal.track('abcd', 'Reading', 4)) == [*'abcd']
    out, err = capsys.readouterr()
    # A line after 5 s, then after 10 or more: 1 more done in 6 s, 2 to go; 3 in 25 s, none to go.
    assert err.splitlines() == ['Reading: 2 of 4, 0:00:12 left', 'Reading: 4 of 4, 0:00:00 left']
    assert out == ''


def test_what_was_done_before_does_not_count_as_fast(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 11.0])
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: next(clock))
    with terminal.shown_progress('Iterations', 1000) as tell:
        tell(900)
        tell(910)
    assert capsys.readouterr().err == 'Iterations: 910 of 1,000, 0:01:39 left\n'


def test_a_bar_on_a_terminal(screen, capsys):
    assert list(terminal.track('abcd', 'Reading', 4)) == [*'abcd']
    assert re.search(r'Reading .*100% .*0:00:00 .*4/4', screen.getvalue())
    assert capsys.readouterr() == ('', '')


def test_the_time_left_is_known_where_news_is_rare(screen, monkeypatch):
    now = [0.0]
    console = Console(file=screen, force_terminal=True, width=100, get_time=lambda: now[0])
    monkeypatch.setattr(terminal, 'Console', lambda **_: console)
    with terminal.shown_progress('Iterations', 100) as tell:
        for now[0], done in ((0, 10), (60, 20), (120, 30)):  # the first 10 were done before
            tell(done)
    assert '0:07:00' in screen.getvalue()


def test_bars_of_a_training(screen, tmp_path, capsys):
    runner = train(tmp_path, max_iters=4, log_level='INFO')
    said = screen.getvalue()
    assert [n for n in range(1, 5) if re.search(rf'Training .*{n}/4', said)] == [1, 2, 3, 4]
    assert re.search(r'Validation .*4/4', said)  # 10 samples, 3 in a batch
    assert 'Iter(train) [4/4]' in capsys.readouterr().out  # as without a bar
    assert not any(isinstance(hook, terminal._BarHook) for hook in runner.hooks)
    assert screen.getvalue().endswith('\x1b[?25h')  # the cursor is back


def test_an_error_ends_the_bars(screen, tmp_path):
    val_evaluator = dict(type='IoUMetric')  # which cannot score points
    with pytest.raises(IndexError):
        train(tmp_path, max_iters=4, val_evaluator=val_evaluator)
    assert screen.getvalue().endswith('\x1b[?25h')


def test_long_blocks_and_accuracies_are_in_the_log_file_alone(tmp_path, capsys, monkeypatch):
    def forward(self, inputs, mode='tensor'):
        loss = self.layers(torch.stack(inputs)).mean()
        return {'decode.loss_ce': loss, 'decode.acc_seg': loss * 0 + 50, 'aux_0.acc_seg': loss * 0}

    monkeypatch.setattr(DropoutModel, 'forward', forward)
    optimizer = dict(weight_decay=0.1)
    optim_wrapper = dict(optimizer=optimizer, paramwise_cfg=dict(norm_decay_mult=0.0))
    options = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
    train(tmp_path, max_iters=1, log_level='INFO', optim_wrapper=optim_wrapper, **options)
    out, log = capsys.readouterr().out, next(tmp_path.glob('*/*.log'))
    assert out.splitlines()[0] == f'environment, config and hooks: {log}'
    blocks = 'System environment:', 'Config:', 'Hooks will be executed', 'paramwise_options -- '
    for block in (*blocks, '  decode.acc_seg: 50.0000', '  aux_0.acc_seg: 0.0000'):
        assert block in log.read_text()
        assert block.split(':')[0] not in out
    assert re.search(r'Iter\(train\) \[1/1\].*  decode\.loss_ce: \S+\n', out)


def test_operators_of_torchvision_are_not_missed(caplog):
    terminal.hide_harmless_warnings()
    logger = logging.getLogger('torch.onnx._internal.exporter._registration')
    logger.warning('torchvision is not installed. Skipping torchvision::nms')
    assert caplog.text == ''


def test_mmsegmentation_has_functions_to_search():
    terminal.hide_harmless_warnings()
    terminal.hide_harmless_warnings()
    assert FUNCTIONS.children['mmseg'].get('pseudo_collate') is FUNCTIONS.get('pseudo_collate')


# --- the tool on a terminal ---

FEW = ['max_iters=6', 'train_cfg.val_interval=3', 'val_dataloader.dataset.indices=4']


def on_terminal(command: list[str]) -> str:
    """What a command writes to a terminal of 100 columns."""
    terminal, end = pty.openpty()
    environment = {**os.environ, **ENVIRONMENT, 'COLUMNS': '100', 'TERM': 'xterm'}
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
def test_training_on_a_terminal(demo_data, tmp_path):
    options = ['--work-dir', tmp_path, *small(demo_data, 'default_hooks.logger.interval=2', *FEW)]
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
