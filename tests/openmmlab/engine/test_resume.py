"""The checkpoint to continue from: the one last_checkpoint names, or the newest intact one."""

import io
import os
import shutil

import pytest
import torch

from mmseg_pacbal.openmmlab.engine import (
    find_checkpoints,
    last_whole_checkpoint,
    latest_intact_checkpoint,
)
from mmseg_pacbal.openmmlab.engine.checkpoint_files import AtomicBackend, is_intact


@pytest.fixture
def work_dir(tmp_path):
    for iteration in (2, 4, 10):
        torch.save(dict(weight=torch.arange(1000.0)), tmp_path / f'iter_{iteration}.pth')
    name(tmp_path, tmp_path / 'iter_10.pth')
    return tmp_path


def name(work_dir, path):
    (work_dir / 'last_checkpoint').write_text(str(path))


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize('share', [0, 0.5, 0.999])
def test_cut_off_file_is_not_whole(work_dir, share):
    path = work_dir / 'iter_2.pth'
    assert is_intact(path)
    cut(path, share)
    assert not is_intact(path)
    assert not is_intact(work_dir / 'none.pth')
    assert not is_intact(work_dir)


def test_file_with_a_changed_byte_is_not_whole(work_dir):
    path = work_dir / 'iter_2.pth'
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 1000] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # which does not notice
    assert not is_intact(path)


def test_newest_first_and_training_only(work_dir):
    for other in ('best_mIoU_iter_12.pth', 'pretrained.pth', 'iter_12.pth.partial'):
        (work_dir / other).touch()
    names = [path.name for path in find_checkpoints(work_dir)]
    assert names == ['iter_10.pth', 'iter_4.pth', 'iter_2.pth']
    assert find_checkpoints(work_dir / 'none') == []


def test_named_one_is_taken_silently(work_dir, capsys):
    name(work_dir, work_dir / 'iter_4.pth')
    assert latest_intact_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == ''


def test_damaged_one_is_passed_over_and_said(work_dir, capsys):
    cut(work_dir / 'iter_10.pth')
    assert latest_intact_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == (
        f'{work_dir}/iter_10.pth missing, cut off or damaged: '
        f'continuing from {work_dir}/iter_4.pth\n'
    )


@pytest.mark.parametrize('content', ['', 'elsewhere/iter_7.pth'])
def test_last_checkpoint_names_nothing(work_dir, content, capsys):
    name(work_dir, content)
    assert latest_intact_checkpoint(work_dir) == work_dir / 'iter_10.pth'
    assert ('iter_7.pth' in capsys.readouterr().out) == bool(content)


def test_moved_folder(work_dir, capsys):
    name(work_dir, '/before/the/move/iter_4.pth')
    assert latest_intact_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == ''


def test_nothing_whole(work_dir):
    for path in find_checkpoints(work_dir):
        cut(path)
    with pytest.raises(
        ValueError, match=f'no checkpoint in {work_dir} is intact: .*iter_2.pth missing'
    ):
        latest_intact_checkpoint(work_dir)


def test_nothing_there(tmp_path):
    assert latest_intact_checkpoint(tmp_path) is None
    assert latest_intact_checkpoint(tmp_path / 'none') is None


# --- every bit counts ---


@pytest.fixture
def sealed(tmp_path):
    """A small checkpoint as the AtomicCheckpointHook writes it."""
    content = io.BytesIO()
    torch.save(dict(state_dict=dict(weight=torch.arange(50.0)), meta=dict(iter=1)), content)
    path = tmp_path / 'iter_1.pth'
    AtomicBackend().put(content.getvalue(), path)
    return path


def flips(path, bits):
    """Flip one bit after another, each back before the next."""
    content = path.read_bytes()
    with open(path, 'r+b', buffering=0) as file:
        for bit in bits:
            file.seek(bit // 8)
            file.write(bytes([content[bit // 8] ^ 1 << bit % 8]))
            yield bit
            file.seek(bit // 8)
            file.write(content[bit // 8 : bit // 8 + 1])
    assert path.read_bytes() == content


def test_every_flipped_bit_is_found(sealed):
    content = sealed.read_bytes()
    directory = content.index(b'PK\1\2')
    assert is_intact(sealed)
    assert torch.load(sealed, weights_only=True)['state_dict']['weight'].sum() == 1225
    everywhere = {*range(8 * directory, 8 * len(content)), *range(0, 8 * directory, 41)}
    assert len(everywhere) > 4000
    for bit in flips(sealed, everywhere):
        assert not is_intact(sealed), bit
    for end in reversed(range(directory, len(content))):
        os.truncate(sealed, end)
        assert not is_intact(sealed), end


def test_an_earlier_checkpoint_is_loaded_to_see(work_dir):
    """Without a digest: no flipped bit of its directory raises, and what passes can be loaded."""
    path = work_dir / 'iter_2.pth'
    content = path.read_bytes()
    assert is_intact(path)
    for _ in flips(path, range(8 * content.index(b'PK\1\2'), 8 * len(content), 5)):
        if is_intact(path):
            torch.load(path, weights_only=True)


def test_a_damaged_directory_is_passed_over(work_dir, capsys):
    damaged = work_dir / 'iter_10.pth'
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b'PK\1\2', b'PK\1\x89'))
    assert latest_intact_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert 'iter_10.pth missing, cut off or damaged' in capsys.readouterr().out


def test_a_copied_folder_continues_from_its_own_files(work_dir, tmp_path):
    copy = tmp_path.with_name(f'{tmp_path.name}_copy')
    shutil.copytree(work_dir, copy)
    assert latest_intact_checkpoint(copy) == copy / 'iter_10.pth'


def test_earlier_name(work_dir):
    with pytest.warns(DeprecationWarning, match='named latest_intact_checkpoint now; version 2'):
        assert last_whole_checkpoint(work_dir) == latest_intact_checkpoint(work_dir)
