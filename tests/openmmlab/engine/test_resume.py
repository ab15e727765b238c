"""The checkpoint to continue from: the one last_checkpoint names, or the newest intact one."""

import pytest
import torch

from mmseg_pacbal.openmmlab.engine import find_checkpoints, last_whole_checkpoint
from mmseg_pacbal.openmmlab.engine.resume import is_whole


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
    assert is_whole(path)
    cut(path, share)
    assert not is_whole(path)
    assert not is_whole(work_dir / 'none.pth')
    assert not is_whole(work_dir)


def test_file_with_a_changed_byte_is_not_whole(work_dir):
    path = work_dir / 'iter_2.pth'
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 1000] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # which does not notice
    assert not is_whole(path)


def test_newest_first_and_training_only(work_dir):
    for other in ('best_mIoU_iter_12.pth', 'pretrained.pth', 'iter_12.pth.partial'):
        (work_dir / other).touch()
    names = [path.name for path in find_checkpoints(work_dir)]
    assert names == ['iter_10.pth', 'iter_4.pth', 'iter_2.pth']
    assert find_checkpoints(work_dir / 'none') == []


def test_named_one_is_taken_silently(work_dir, capsys):
    name(work_dir, work_dir / 'iter_4.pth')
    assert last_whole_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == ''


def test_damaged_one_is_passed_over_and_said(work_dir, capsys):
    cut(work_dir / 'iter_10.pth')
    assert last_whole_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == (
        f'{work_dir}/iter_10.pth missing, cut off or damaged: '
        f'continuing from {work_dir}/iter_4.pth\n'
    )


@pytest.mark.parametrize('content', ['', 'elsewhere/iter_7.pth'])
def test_last_checkpoint_names_nothing(work_dir, content, capsys):
    name(work_dir, content)
    assert last_whole_checkpoint(work_dir) == work_dir / 'iter_10.pth'
    assert ('iter_7.pth' in capsys.readouterr().out) == bool(content)


def test_moved_folder(work_dir, capsys):
    name(work_dir, '/before/the/move/iter_4.pth')
    assert last_whole_checkpoint(work_dir) == work_dir / 'iter_4.pth'
    assert capsys.readouterr().out == ''


def test_nothing_whole(work_dir):
    for path in find_checkpoints(work_dir):
        cut(path)
    with pytest.raises(
        ValueError, match=f'no checkpoint in {work_dir} is intact: .*iter_2.pth missing'
    ):
        last_whole_checkpoint(work_dir)


def test_nothing_there(tmp_path):
    assert last_whole_checkpoint(tmp_path) is None
    assert last_whole_checkpoint(tmp_path / 'none') is None
