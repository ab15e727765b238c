"""One process writes the record of a test."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from mmseg_pacbal import config, configs
from mmseg_pacbal.apps import cli
from mmseg_pacbal.openmmlab.engine.hooks import MainProcessLoggerHook


@pytest.mark.parametrize('rank', [0, 1])
def test_the_main_process_alone_writes(rank, tmp_path: Path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: rank)
    hook = MainProcessLoggerHook()
    hook.json_log_path = 'test.json'
    processor = SimpleNamespace(get_log_after_epoch=lambda *args, **kwargs: (dict(mIoU=41.5), ''))
    runner = SimpleNamespace(
        log_dir=tmp_path,
        log_processor=processor,
        logger=MMLogger.get_instance('test'),
        test_dataloader=[],
    )
    hook.after_test_epoch(runner, dict(mIoU=41.5))
    if rank == 0:
        assert json.loads((tmp_path / 'test.json').read_text()) == dict(mIoU=41.5)
    else:
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('launcher', 'hook'), [('none', 'LoggerHook'), ('slurm', 'MainProcessLoggerHook')]
)
def test_several_processes_take_it(launcher, hook, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = configs.load_config(config('pac_bal_demo.py'))
    cli.prepare_launcher(cfg, argparse.Namespace(launcher=launcher, local_rank=0))
    assert cfg.default_hooks.logger.type == hook
