#!/usr/bin/env bash
# OpenCV and Pillow return the first band of a TIFF of several bands, without a word.
#
# Versions:  opencv-python-headless 5.0.0.93, pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6
# Input:     8-bit TIFFs of 2, 3 and 4 interleaved bands (10, 20, 30, 40 in every pixel), photometric interpretation
#            "black is zero", as tools write bands that are no colours (GDAL's PHOTOMETRIC=MINISBLACK)
# Expected:  with IMREAD_UNCHANGED all bands, or None; of Pillow all bands, or an error
# Seen:      OpenCV returns an array of two dimensions that holds the first band, for 2, 3 and 4 bands, and None for
#            5; Pillow does the same for 2 bands (mode "L") and raises UnidentifiedImageError from 3 on. The same
#            bands tagged as RGB are read whole by both
# Matters:   a model for several bands trains on one, and nothing says so
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q \
    opencv-python-headless==5.0.0.93 tifffile==2026.3.3 pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

for bands in (2, 3, 4, 5):
    pixels = np.full((2, 3, bands), 10 * np.arange(1, bands + 1), np.uint8)
    tifffile.imwrite('bands.tif', pixels, photometric='minisblack', planarconfig='contig')
    opencv = cv2.imread('bands.tif', cv2.IMREAD_UNCHANGED)
    try:
        pillow = np.array(Image.open('bands.tif'))
    except UnidentifiedImageError:
        pillow = None
    print(bands, 'bands; OpenCV:', None if opencv is None else opencv.tolist(), 'Pillow:', pillow)
    first = np.full((2, 3), 10)
    assert opencv is None if bands == 5 else np.array_equal(opencv, first)
    assert np.array_equal(pillow, first) if bands == 2 else pillow is None
tifffile.imwrite('colours.tif', np.full((2, 3, 3), (10, 20, 30), np.uint8), photometric='rgb')
assert cv2.imread('colours.tif', cv2.IMREAD_UNCHANGED)[0, 0].tolist() == [30, 20, 10]
assert np.array(Image.open('colours.tif'))[0, 0].tolist() == [10, 20, 30]
PYTHON
