from pathlib import Path

import pytest

from mmseg_pacbal.openmmlab.datasets import generate_synthetic_voc
from tests.visualization.tiny import write_checkpoint, write_config


@pytest.fixture(scope='session')
def data(tmp_path_factory) -> Path:
    """The demo's own data, since its config asks for exactly that."""
    return generate_synthetic_voc(tmp_path_factory.mktemp('data') / 'VOC2012')


@pytest.fixture(scope='session')
def tiny(tmp_path_factory) -> tuple[Path, Path]:
    """The demo's config on small images, and a checkpoint."""
    config = write_config(tmp_path_factory.mktemp('tiny'))
    return config, write_checkpoint(config)
