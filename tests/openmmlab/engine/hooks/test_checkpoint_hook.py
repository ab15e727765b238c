"""Checkpoints are complete or absent, and the last complete one is never removed."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import MessageHub

from mmseg_pacbal.openmmlab.engine.hooks import AtomicCheckpointHook
from mmseg_pacbal.openmmlab.engine.hooks.checkpoint_hook import AtomicBackend


class Writer(SimpleNamespace):
    """The part of a Runner that the hook uses; a checkpoint is a line of text."""

    def save_checkpoint(self, out_dir, filename, *args, backend_args, **kwargs):
        if self.iter + 1 == self.fails_at:
            raise OSError('disk full')
        self.seen.append(sorted(p.name for p in Path(out_dir).glob('*.pth')))
        get_file_backend(out_dir, backend_args=backend_args).put(
            b'weights', f'{out_dir}/{filename}'
        )


@pytest.fixture
def make(tmp_path):
    def make(**options):
        runner = Writer(
            work_dir=str(tmp_path),
            message_hub=MessageHub.get_instance(f'{tmp_path}'),
            logger=SimpleNamespace(info=lambda message: None, warning=lambda message: None),
            epoch=0,
            iter=0,
            seen=[],
            fails_at=None,
        )
        hook = AtomicCheckpointHook(interval=2, by_epoch=False, **options)
        hook.before_train(runner)
        return runner, hook

    return make


def save(runner, hook, *iterations):
    for iteration in iterations:
        runner.iter = iteration - 1
        hook._save_checkpoint(runner)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_put_writes_and_replaces(tmp_path):
    path = tmp_path / 'new' / 'a.pth'
    for content in (b'one', b'two'):
        AtomicBackend().put(content, path)
        assert path.read_bytes() == content
    assert names(path.parent) == ['a.pth']


def test_name_appears_only_when_all_is_on_the_disk(tmp_path, monkeypatch):
    path, events, replace, fsync = tmp_path / 'a', [], os.replace, os.fsync

    def spy_fsync(descriptor):
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = None if folder else os.fstat(descriptor).st_size
        events.append(('folder' if folder else size, path.exists()))
        fsync(descriptor)

    def spy_replace(source, target):
        events.append(('replace', path.exists()))
        replace(source, target)

    monkeypatch.setattr(os, 'fsync', spy_fsync)
    monkeypatch.setattr(os, 'replace', spy_replace)
    AtomicBackend().put(b'12345', path)
    assert events == [(5, False), ('replace', False), ('folder', True)]


def test_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / 'iter_4.pth'
    path.write_bytes(b'whole')

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError) as error:
        AtomicBackend().put(b'new', path)
    assert str(error.value) == (
        f'{path} could not be written (No space left on device); the earlier checkpoints are '
        'intact: free some space and resume the run'
    )
    assert names(tmp_path) == ['iter_4.pth']
    assert path.read_bytes() == b'whole'


def test_old_checkpoint_goes_after_the_new_one_is_there(make, tmp_path):
    runner, hook = make(max_keep_ckpts=1)
    save(runner, hook, 2, 4, 6)
    assert runner.seen == [[], ['iter_2.pth'], ['iter_4.pth']]
    assert names(tmp_path) == ['iter_6.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_6.pth')
    assert runner.message_hub.get_info('keep_ckpt_ids') == [6]


def test_old_checkpoint_stays_where_the_new_one_fails(make, tmp_path):
    runner, hook = make(max_keep_ckpts=1)
    runner.fails_at = 4
    save(runner, hook, 2)
    with pytest.raises(OSError, match='disk full'):
        save(runner, hook, 4)
    assert names(tmp_path) == ['iter_2.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')
    assert type(hook.file_backend) is LocalBackend


def test_best_checkpoint_is_replaced_after_the_better_one_is_there(make, tmp_path):
    runner, hook = make(max_keep_ckpts=1, save_best='mIoU')
    for iteration, score in ((2, 10.0), (4, 30.0), (6, 20.0)):
        save(runner, hook, iteration)
        runner.iter = iteration
        hook.after_val_epoch(runner, dict(mIoU=score))
    # of each iteration: the checkpoint, the best one, the checkpoint that knows of the best one
    assert runner.seen[4] == ['best_mIoU_iter_2.pth', 'iter_4.pth']
    assert names(tmp_path) == ['best_mIoU_iter_4.pth', 'iter_6.pth', 'last_checkpoint']


def test_best_checkpoint_of_the_same_name_stays(make, tmp_path):
    """A validation that is made up for after a resume may score higher by rounding."""
    runner, hook = make(save_best='mIoU')
    save(runner, hook, 2)
    runner.iter = 2
    hook.after_val_epoch(runner, dict(mIoU=10.0))
    hook.after_val_epoch(runner, dict(mIoU=10.1))
    assert names(tmp_path) == ['best_mIoU_iter_2.pth', 'iter_2.pth', 'last_checkpoint']
