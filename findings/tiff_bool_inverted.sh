#!/usr/bin/env bash
# A boolean mask that tifffile writes as TIFF is the inverse when Pillow or OpenCV reads it.
#
# Versions:  tifffile 2026.3.3, imageio 2.38.1, pillow 13.0.0, opencv-python-headless 5.0.0.93, numpy 2.4.6
# Input:     tifffile.imwrite of a boolean array; it is stored with PhotometricInterpretation 0 (white is zero)
# Expected:  a mask is data: object where True was written, whichever library reads it
# Seen:      tifffile and imageio return what was written; Pillow returns the inverse, and OpenCV the inverse
#            as 255 and 0. The same holds for class indices in 8 bits with photometric='miniswhite': 0..3 become 255..252
# Matters:   training learns the background as the object, without any message
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tifffile==2026.3.3 imageio==2.38.1 pillow==13.0.0 \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import cv2
import imageio.v3
import numpy as np
import tifffile
from PIL import Image

mask = np.array([[0, 1, 1, 0], [0, 0, 1, 0]], bool)
tifffile.imwrite('mask.tif', mask)
seen = dict(
    tifffile=tifffile.imread('mask.tif'),
    imageio=imageio.v3.imread('mask.tif'),
    pillow=np.array(Image.open('mask.tif')),
    opencv=cv2.imread('mask.tif', cv2.IMREAD_UNCHANGED),
)
print({name: read.astype(int).tolist() for name, read in seen.items()})
assert (seen['tifffile'] == mask).all() and (seen['imageio'] == mask).all()
assert (seen['pillow'] == ~mask).all()
assert (seen['opencv'] == 255 * ~mask).all()

classes = np.array([[0, 1, 2, 3]], np.uint8)
tifffile.imwrite('classes.tif', classes, photometric='miniswhite')
print('8 bits:', np.array(Image.open('classes.tif')).tolist(), cv2.imread('classes.tif', -1).tolist())
assert (tifffile.imread('classes.tif') == classes).all()
assert (np.array(Image.open('classes.tif')) == 255 - classes).all()
assert (cv2.imread('classes.tif', cv2.IMREAD_UNCHANGED) == 255 - classes).all()
PYTHON
