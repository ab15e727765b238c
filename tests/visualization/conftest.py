import pytest
from mmengine.config import Config

from mmseg_pacbal.openmmlab.inference import init_inferencer


@pytest.fixture
def model(tiny):
    return init_inferencer(*tiny, device='cpu').model


@pytest.fixture(scope='session')
def dataset(tiny):
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope('mmseg')
    return DATASETS.build(Config.fromfile(tiny[0]).test_dataloader.dataset)
