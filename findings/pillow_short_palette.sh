#!/usr/bin/env bash
# Pillow: a PNG loses the high bits of indices that have no colour, so that the void label becomes a class.
#
# Versions:  pillow 13.0.0, numpy 2.4.6
# Input:     a mask of the classes 0, 1, 2 and void 255; putpalette with the colours of the classes alone, as data sets
#            list them (2, 3, 5 and 17 colours); saved as PNG and, for comparison, as TIFF, BMP, PCX and TGA
# Expected:  the indices as they are, as the other four formats keep them, or an error
# Seen:      no message; the PNG has as many bits as the number of colours needs, so that 255 becomes 3 with 3 colours and
#            15 with 5; with 2 colours 255 and 2 both become class 1. With 17 colours everything is kept. The image in
#            memory still has 255. A palette of 256 colours avoids it
# Matters:   pixels of unknown class are trained and scored as a class, and nothing in the file tells
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
from PIL import Image

expected = {2: [0, 1, 1, 1], 3: [0, 1, 2, 3], 5: [0, 1, 2, 15], 17: [0, 1, 2, 255]}
mask = np.array([[0, 1, 2, 255]], np.uint8)
for colours, indices in expected.items():
    image = Image.fromarray(mask)
    image.putpalette([value for colour in range(colours) for value in (colour, 90, 200)])
    assert np.array_equal(image, mask) and image.mode == 'P'
    seen = {}
    for kind in ('png', 'tif', 'bmp', 'pcx', 'tga'):
        image.save(f'mask.{kind}')
        with Image.open(f'mask.{kind}') as read:
            assert read.mode == 'P'
            seen[kind] = np.array(read)[0].tolist()
    print(colours, 'colours:', seen)
    assert seen.pop('png') == indices
    assert all(kept == [0, 1, 2, 255] for kept in seen.values())
PYTHON
