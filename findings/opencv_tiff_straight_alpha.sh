#!/usr/bin/env bash
# OpenCV multiplies the colours of a TIFF by its straight alpha, even with IMREAD_UNCHANGED.
#
# Versions:  opencv-python-headless 5.0.0.93, tifffile 2026.3.3, pillow 13.0.0, numpy 2.4.6
# Input:     an RGBA TIFF of the colour (100, 150, 200) and alpha 50, written by tifffile, once with ExtraSamples =
#            2 (unassociated, straight alpha) and once with 1 (associated); GDAL writes a fourth band the first way
# Expected:  IMREAD_UNCHANGED, "return the loaded image as is": (100, 150, 200) of both files; with
#            IMREAD_COLOR, which drops the alpha, the same colours
# Seen:      (20, 29, 39) of the straight file, both with IMREAD_UNCHANGED and with IMREAD_COLOR; the
#            associated file as stored. Pillow gives (100, 150, 200, 50) for the straight file
# Matters:   of a satellite image with red, green, blue and near infrared, the colours become products with infrared
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
from PIL import Image

pixels = np.full((2, 2, 4), (100, 150, 200, 50), np.uint8)
seen = {}
for kind in ('unassalpha', 'assocalpha'):
    tifffile.imwrite(f'{kind}.tif', pixels, photometric='rgb', extrasamples=[kind])
    unchanged = cv2.imread(f'{kind}.tif', cv2.IMREAD_UNCHANGED)[0, 0, 2::-1].tolist()
    colour = cv2.imread(f'{kind}.tif', cv2.IMREAD_COLOR)[0, 0, ::-1].tolist()
    seen[kind] = unchanged, colour
pillow = np.array(Image.open('unassalpha.tif'))[0, 0].tolist()
print(cv2.__version__, seen, 'Pillow:', pillow)
assert seen['unassalpha'] == ([20, 29, 39], [20, 29, 39])
assert seen['assocalpha'] == ([100, 150, 200], [100, 150, 200])
assert pillow == [100, 150, 200, 50]
PYTHON
