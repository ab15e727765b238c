"""The tool as users run it: pictures of training samples."""

import numpy as np
import pytest
from PIL import Image

from tests.running import DEMO, run_tool


@pytest.mark.slow
def test_pictures_with_mean_and_range(data, tmp_path):
    out = tmp_path / 'pictures'
    options = ['--cfg-options', f'data_root={data}']
    result = run_tool('browse_weights', DEMO, '--num', 2, '--out', out, *options)
    assert result.returncode == 0, result.stderr
    pictures = sorted(out.iterdir())
    assert len(pictures) == 2
    for picture in pictures:
        assert f'{picture}: E_G mean ' in result.stdout
        pixels = np.array(Image.open(picture).convert('RGB'))
        assert pixels.shape[1] > 1000
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000
    # The same crops again.
    again = run_tool('browse_weights', DEMO, '--num', 2, '--out', out, '--overwrite', *options)
    assert again.stdout == result.stdout
