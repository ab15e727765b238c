"""Which checkpoints are intact, which one a run continues from, how its config differs."""

import io
import os
import re
import shutil
import zipfile

import pytest
import torch
from mmengine.runner import Runner

from mmseg_pacbal.openmmlab.engine import (
    changed_settings,
    find_checkpoints,
    last_whole_checkpoint,
    latest_intact_checkpoint,
)
from mmseg_pacbal.openmmlab.engine.checkpoints import AtomicBackend, is_intact
from mmseg_pacbal.openmmlab.engine.runner import CheckedRunner


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


def test_a_file_that_is_cut_off_or_changed_is_not_intact(work_dir):
    path = work_dir / 'iter_2.pth'
    whole = path.read_bytes()
    assert is_intact(path)
    changed = bytearray(whole)
    changed[whole.index(torch.arange(1000.0).numpy().tobytes()) + 1000] ^= 1
    path.write_bytes(changed)
    torch.load(path, weights_only=True)  # which does not notice
    assert not is_intact(path)
    for share in (0, 0.5, 0.999):
        path.write_bytes(whole)
        cut(path, share)
        assert not is_intact(path)
    assert not is_intact(work_dir / 'none.pth')
    assert not is_intact(work_dir)


def test_newest_first_and_training_only(work_dir):
    for other in ('best_mIoU_iter_12.pth', 'pretrained.pth', 'iter_12.pth.partial'):
        (work_dir / other).touch()
    names = [path.name for path in find_checkpoints(work_dir)]
    assert names == ['iter_10.pth', 'iter_4.pth', 'iter_2.pth']
    assert find_checkpoints(work_dir / 'none') == []


@pytest.mark.parametrize(
    ('named', 'expected', 'passed_over'),
    [
        ('{}/iter_4.pth', 'iter_4.pth', None),
        ('/before/the/move/iter_4.pth', 'iter_4.pth', None),
        ('', 'iter_10.pth', None),
        ('elsewhere/iter_7.pth', 'iter_10.pth', 'iter_7.pth'),
        ('{}/damaged_12.pth', 'iter_10.pth', 'damaged_12.pth'),
    ],
)
def test_the_named_one_is_taken_and_what_is_passed_over_is_said(
    named, expected, passed_over, work_dir, capsys
):
    if 'damaged' in named:
        content = (work_dir / 'iter_10.pth').read_bytes()
        (work_dir / 'damaged_12.pth').write_bytes(content.replace(b'PK\1\2', b'PK\1\x89'))
    name(work_dir, named.format(work_dir))
    assert latest_intact_checkpoint(work_dir) == work_dir / expected
    said = f'{work_dir}/{passed_over} missing, cut off or damaged: continuing from {work_dir}/'
    assert capsys.readouterr().out == (f'{said}{expected}\n' if passed_over else '')


def test_nothing_intact_or_nothing_there(work_dir):
    assert latest_intact_checkpoint(work_dir / 'none') is None
    for path in find_checkpoints(work_dir):
        cut(path)
    with pytest.raises(
        ValueError, match=f'no checkpoint in {work_dir} is intact: .*iter_2.pth missing'
    ):
        latest_intact_checkpoint(work_dir)


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
            assert torch.equal(torch.load(path, weights_only=True)['weight'], torch.arange(1000.0))


def test_an_entry_that_turned_into_a_folder_is_found(work_dir):
    """torch reads no data of a folder: it would load what lies in memory."""
    path = work_dir / 'iter_2.pth'
    with zipfile.ZipFile(path) as archive:
        count = len(archive.infolist())
    content = path.read_bytes()
    starts = [found.start() for found in re.finditer(rb'PK\x01\x02', content)]
    assert len(starts) == count
    bits = [8 * (start + 38) + 4 for start in starts]  # of the external attributes
    assert [bit for bit in flips(path, bits) if is_intact(path)] == []


def test_a_copied_folder_continues_from_its_own_files(work_dir, tmp_path):
    copy = tmp_path.with_name(f'{tmp_path.name}_copy')
    shutil.copytree(work_dir, copy)
    assert latest_intact_checkpoint(copy) == copy / 'iter_10.pth'


def test_earlier_name(work_dir):
    with pytest.warns(DeprecationWarning, match='named latest_intact_checkpoint now; version 2'):
        assert last_whole_checkpoint(work_dir) == latest_intact_checkpoint(work_dir)


# --- the config that a checkpoint carries is compared, never executed ---


def test_settings_that_changed():
    saved = """
crop_size = (161, 161)
hooks = [dict(type='A', interval=5), dict(type='B')]
model = dict(head=dict({'a b': 1, 'c': dict(d=[1, 2])}, loss=dict(beta=0.5)), name='x')
"""
    now = saved.replace('161, 161', '321, 321').replace('interval=5', 'interval=7')
    assert changed_settings(saved, now + 'extra = None\n') == [
        'crop_size: (161, 161) -> (321, 321)',
        'hooks.0.interval: 5 -> 7',
        'extra: not set -> None',
    ]
    assert changed_settings(saved, saved.replace('beta=0.5', 'beta=1')) == [
        'model.head.loss.beta: 0.5 -> 1'
    ]
    assert changed_settings(saved, saved) == []
    assert changed_settings('no config, but words', now) == []
    assert changed_settings('__import__("os").abort()', now)  # is not executed


@pytest.mark.parametrize(
    'cfg', ['a = ' + '[' * 9000 + ']' * 9000, 'a = ' + '-' * 99999 + '1', '\0']
)
def test_an_absurd_config_is_passed_over(cfg):
    assert changed_settings(cfg, 'a = 1') == []


@pytest.mark.parametrize('fused', [False, True])
def test_momentum_of_an_older_version_belongs_to_its_filter(fused, monkeypatch, generator):
    shape = (6, 4, 3, 3)
    weight, momentum, grad = (torch.randn(shape, generator=generator) for _ in range(3))
    old = momentum.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)  # outputs innermost
    channels_last = momentum.contiguous(memory_format=torch.channels_last)
    state = {0: dict(momentum_buffer=old), 1: dict(momentum_buffer=channels_last)}
    checkpoint = dict(optimizer=dict(state=state))
    monkeypatch.setattr(Runner, 'load_checkpoint', lambda self, path: checkpoint)
    loaded = CheckedRunner.load_checkpoint(object.__new__(CheckedRunner), 'path')
    assert loaded['optimizer']['state'][1]['momentum_buffer'] is channels_last
    parameter = torch.nn.Parameter(weight.clone())
    parameter.grad = grad
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, fused=fused)
    optimizer.state[parameter] = loaded['optimizer']['state'][0]
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), weight - 0.1 * (0.9 * momentum + grad))
