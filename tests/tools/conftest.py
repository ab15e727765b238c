from pathlib import Path

import pytest

from tests.visualization.tiny import write_checkpoint, write_config


@pytest.fixture(scope='session')
def data(demo_data) -> Path:
    return demo_data


@pytest.fixture(scope='session')
def tiny(tmp_path_factory) -> tuple[Path, Path]:
    """The demo's config on small images, and a checkpoint."""
    config = write_config(tmp_path_factory.mktemp('tiny'))
    return config, write_checkpoint(config)
