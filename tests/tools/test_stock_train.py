"""MMSegmentation's own tools/train.py, unchanged, runs what our configs name."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from mmseg_pacbal import configs
from mmseg_pacbal.openmmlab.datasets import generate_synthetic_voc
from tests.running import DEMO, ENVIRONMENT, STOCK, run_tool, tool_command

LAST = 60


def write_config(folder: Path, data: Path) -> Path:
    """The demo on small crops; MMSegmentation's tool has no settings that are carried on."""
    options = {
        'data_root': str(data),
        'crop_size': (32, 32),
        'max_iters': LAST,
        'train_cfg.val_interval': LAST,
        'val_dataloader.dataset.indices': 2,
        'train_dataloader.num_workers': 2,
        'default_hooks.checkpoint.interval': 5,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    cfg = configs.load_config(str(DEMO), options)
    cfg.dump(folder / 'config.py')
    return folder / 'config.py'


def arguments(config: Path, work_dir: Path, *options: str) -> list:
    return ['train', config, '--work-dir', work_dir, *options]


@pytest.mark.slow
def test_resumes_bit_for_bit_after_a_kill(data, tmp_path):
    config = write_config(tmp_path, data)
    whole = run_tool(*arguments(config, tmp_path / 'whole'), tools=STOCK)
    assert whole.returncode == 0, whole.stderr
    (log,) = (tmp_path / 'whole').glob('*/*.log')
    assert 'ResumableTrainLoop' in log.read_text()  # the config in it says what runs
    killed = tmp_path / 'killed'
    process = subprocess.Popen(
        tool_command(*arguments(config, killed), tools=STOCK),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | ENVIRONMENT,
        start_new_session=True,
    )
    while not (killed / 'iter_10.pth').exists() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / f'iter_{LAST}.pth').exists()
    resumed = run_tool(*arguments(config, killed, '--resume'), tools=STOCK)
    assert resumed.returncode == 0, resumed.stderr
    first, second = (
        torch.load(folder / f'iter_{LAST}.pth', weights_only=False)
        for folder in (tmp_path / 'whole', killed)
    )
    assert len(first['state_dict']) > 100
    torch.testing.assert_close(second['state_dict'], first['state_dict'], rtol=0, atol=0)
    momenta = (each['optimizer']['state'] for each in (second, first))
    torch.testing.assert_close(*momenta, rtol=0, atol=0)


@pytest.mark.slow
def test_broken_mask_is_named(tmp_path):
    data = generate_synthetic_voc(tmp_path / 'VOC2012')
    masks = sorted((data / 'SegmentationClass').glob('2012*.png'))
    for mask in masks:
        mask.write_bytes(mask.read_bytes()[:100])
    config = write_config(tmp_path, data)
    result = run_tool(*arguments(config, tmp_path / 'work'), tools=STOCK)
    assert result.returncode
    assert f'mask {data}/SegmentationClass/2012_' in result.stderr
    assert 'is damaged' in result.stderr
