#!/usr/bin/env bash
# Whether "white is zero" inverts the values of a TIFF depends on the bit depth, in OpenCV and in Pillow.
#
# Versions:  opencv-python-headless 5.0.0.93, pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6
# Input:     the values 0, 1, 2, 3 in TIFFs whose photometric interpretation is 0 (white is zero), of 8 and of 16 bits,
#            of 16 bits also with the most significant byte first
# Expected:  one rule for all depths and byte orders: values as stored (what tifffile returns), or inverted
# Seen:      both libraries invert 8 bits (255, 254, 253, 252) and return 16 bits as stored; Pillow raises
#            UnidentifiedImageError for 16 bits with the most significant byte first, which it reads if black is zero
# Matters:   a label of class numbers means something else once it is saved with more bits
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


def values(dtype, order, photometric='miniswhite'):
    tifffile.imwrite('a.tif', np.array([[0, 1, 2, 3]], dtype), photometric=photometric, byteorder=order)
    assert tifffile.imread('a.tif').tolist() == [[0, 1, 2, 3]]
    try:
        pillow = np.array(Image.open('a.tif'))[0].tolist()
    except UnidentifiedImageError:
        pillow = 'UnidentifiedImageError'
    seen = cv2.imread('a.tif', cv2.IMREAD_UNCHANGED)[0].tolist(), pillow
    print(photometric, dtype.__name__, order, 'OpenCV:', seen[0], 'Pillow:', seen[1])
    return seen


stored, inverted = [0, 1, 2, 3], [255, 254, 253, 252]
assert values(np.uint8, '<') == values(np.uint8, '>') == (inverted, inverted)
assert values(np.uint16, '<') == (stored, stored)
assert values(np.uint16, '>') == (stored, 'UnidentifiedImageError')
assert values(np.uint16, '>', 'minisblack') == (stored, stored)
PYTHON
