"""One process writes the record of a test."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from mmseg_pacbal import config, configs
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


def test_configs_name_it():
    cfg = configs.load_config(config('pac_bal_demo.py'))
    assert cfg.default_hooks.logger.type == 'MainProcessLoggerHook'
