"""Checkpoints are complete or absent, and the last complete one is never removed."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.fileio import get_file_backend
from mmengine.logging import MessageHub

from mmseg_pacbal.openmmlab.engine.checkpoints import AtomicBackend
from mmseg_pacbal.openmmlab.engine.hooks import AtomicCheckpointHook


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
    def make(known=None, **options):
        runner = Writer(
            work_dir=str(tmp_path),
            message_hub=MessageHub.get_instance(f'{tmp_path}'),
            logger=SimpleNamespace(info=lambda message: None, warning=lambda message: None),
            epoch=0,
            iter=0,
            seen=[],
            fails_at=None,
        )
        for key, value in (known or {}).items():  # in the checkpoint that it continues from
            runner.message_hub.update_info(key, value)
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


def test_name_appears_only_when_all_is_on_the_disk(tmp_path, monkeypatch):
    path, events, replace, fsync = tmp_path / 'new' / 'a', [], os.replace, os.fsync

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
    AtomicBackend().put(b'678', path)
    assert path.read_bytes() == b'678'
    assert names(path.parent) == ['a']


@pytest.mark.parametrize(
    ('number', 'reason', 'remedy'),
    [
        (28, 'No space left on device', 'free some space'),
        (30, 'Read-only file system', 'make the folder writable'),
    ],
)
def test_failed_write_leaves_what_was_there(number, reason, remedy, tmp_path, monkeypatch):
    path = tmp_path / 'iter_4.pth'
    path.write_bytes(b'whole')

    def full(descriptor):
        raise OSError(number, reason)

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError) as error:
        AtomicBackend().put(b'new', path)
    assert str(error.value) == (
        f'{path} could not be written ({reason}); the earlier checkpoints are '
        f'intact: {remedy} and resume the run'
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


def validate(runner, hook, iteration, score):
    save(runner, hook, iteration)
    runner.iter = iteration
    hook.after_val_epoch(runner, dict(mIoU=score, mDice=score))


def test_best_checkpoint_is_replaced_after_the_better_one_is_there(make, tmp_path):
    runner, hook = make(max_keep_ckpts=1, save_best='mIoU')
    for iteration, score in ((2, 10.0), (4, 30.0), (6, 20.0)):
        validate(runner, hook, iteration, score)
    # of each iteration: the checkpoint, the best one, the checkpoint that knows of the best one
    assert runner.seen[4] == ['best_mIoU_iter_2.pth', 'iter_4.pth']
    assert names(tmp_path) == ['best_mIoU_iter_4.pth', 'iter_6.pth', 'last_checkpoint']
    # A validation that is made up for after a resume may score higher by rounding.
    runner.iter = 4
    hook.after_val_epoch(runner, dict(mIoU=30.1))
    assert 'best_mIoU_iter_4.pth' in names(tmp_path)


# --- files of other runs: a checkpoint names them, and they stay ---


@pytest.fixture
def other(tmp_path) -> Path:
    """The work dir of another run, with its best checkpoint."""
    folder = tmp_path.with_name(f'{tmp_path.name}_other')
    folder.mkdir()
    for name in ('best_mIoU_iter_2.pth', 'best_mDice_iter_2.pth', 'iter_2.pth'):
        (folder / name).write_text('of another run')
    return folder


@pytest.mark.parametrize('absolute', [True, False])
@pytest.mark.parametrize('metrics', ['mIoU', ['mIoU', 'mDice']], ids=str)
def test_the_best_checkpoint_of_another_run_stays(absolute, metrics, make, other, tmp_path):
    before = names(other)
    folder = other if absolute else Path(os.path.relpath(other))
    known = {
        f'best_ckpt{end}': str(folder / f'best_{metric}_iter_2.pth')
        for end, metric in (('', 'mIoU'), ('_mIoU', 'mIoU'), ('_mDice', 'mDice'))
    }
    runner, hook = make(known, save_best=metrics)
    validate(runner, hook, 4, 30.0)
    assert names(other) == before
    assert 'best_mIoU_iter_4.pth' in names(tmp_path)
    validate(runner, hook, 4, 30.0)  # training continues as usual
    assert names(other) == before


@pytest.mark.parametrize('linked', [True, False])
def test_a_copied_work_dir_has_its_own_best_checkpoint(linked, make, other, tmp_path):
    best = other / 'best_mIoU_iter_2.pth'
    own = tmp_path / best.name
    own.symlink_to(best) if linked else own.write_text('a copy')
    if linked:
        (other / 'last_checkpoint').write_text('of another run')
        (tmp_path / 'last_checkpoint').symlink_to(other / 'last_checkpoint')
    before = {path: path.read_text() for path in other.iterdir()}
    runner, hook = make(dict(best_ckpt=str(best)), save_best='mIoU')
    validate(runner, hook, 4, 30.0)
    assert {path: path.read_text() for path in other.iterdir()} == before
    assert names(tmp_path) == ['best_mIoU_iter_4.pth', 'iter_4.pth', 'last_checkpoint']


@pytest.mark.parametrize('path', ['..', 'x/..', '.', '', 'notes.txt', '../other', '/', 'best_'])
def test_what_is_no_best_checkpoint_stays(path, make, other, tmp_path):
    (tmp_path / 'notes.txt').touch()
    (tmp_path / 'best_').mkdir()
    runner, hook = make(dict(best_ckpt=path), save_best='mIoU')
    validate(runner, hook, 4, 30.0)
    assert {'notes.txt', 'best_', 'best_mIoU_iter_4.pth'} <= set(names(tmp_path))
    assert len(names(other)) == 3


@pytest.mark.parametrize('ids', [['x/../../other/iter_2', 2], [2, 1, 0]], ids=str)
def test_checkpoints_to_keep_are_those_of_this_folder(ids, make, other, tmp_path):
    (tmp_path / 'iter_2.pth').touch()
    before = names(other)
    runner, hook = make(dict(keep_ckpt_ids=ids), max_keep_ckpts=1, filename_tmpl='{}.pth')
    save(runner, hook, 4)
    assert names(other) == before
    assert names(tmp_path) == ['4.pth', 'iter_2.pth', 'last_checkpoint']


def test_nothing_is_published_without_a_best_checkpoint_of_its_own(make, other, tmp_path):
    known = {f'best_ckpt_{name}': str(other / f'best_{name}_iter_2.pth') for name in ('mIoU', 'x')}
    runner, hook = make(
        known, save_best=['mIoU', 'x'], rule='greater', published_keys=['state_dict']
    )
    before = names(other)
    hook.after_train(runner)
    assert names(other) == before
