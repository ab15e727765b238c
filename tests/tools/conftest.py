from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pacbal.datasets.synthetic_scene import render_scene


@pytest.fixture(scope='session')
def data(demo_data) -> Path:
    return demo_data


@pytest.fixture(scope='session')
def picture() -> Image.Image:
    """Of 80 x 64 pixels, RGB."""
    return Image.fromarray(render_scene(np.random.default_rng(0), (64, 80))[0])
