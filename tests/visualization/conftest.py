from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_pacbal.openmmlab.inference import init_inferencer

from .tiny import write_checkpoint, write_config


@pytest.fixture(scope='session')
def config(tmp_path_factory) -> Path:
    return write_config(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='session')
def checkpoint(config) -> Path:
    return write_checkpoint(config)


@pytest.fixture
def model(config, checkpoint):
    return init_inferencer(config, checkpoint, device='cpu').model


@pytest.fixture(scope='session')
def dataset(config):
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope('mmseg')
    return DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
