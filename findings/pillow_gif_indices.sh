#!/usr/bin/env bash
# Pillow renumbers the palette indices of a mask that it saves as GIF.
#
# Versions:  pillow 13.0.0, numpy 2.4.6
# Input:     a palette image (mode P, 256 colours) that holds the indices 0, 3, 7 and 255, saved as GIF and as PNG
# Expected:  the indices of a palette mask are its classes; PNG keeps them, and GIF stores indices too
# Seen:      the PNG holds 0, 3, 7, 255; the GIF holds 0, 1, 2, 3, with the colours moved along, so that it
#            looks right. Only optimize=False, which is not the default, keeps them
# Matters:   class 7 becomes class 2, and void (255) becomes a class
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
from PIL import Image

indices = np.array([[0, 3, 7, 255]], np.uint8)
mask = Image.fromarray(indices).convert('L')
mask = Image.frombytes('P', mask.size, mask.tobytes())
mask.putpalette([value for i in range(256) for value in (i, 255 - i, 7 * i % 256)])
seen = {}
for name, options in {'mask.png': {}, 'mask.gif': {}, 'kept.gif': dict(optimize=False)}.items():
    mask.save(name, **options)
    with Image.open(name) as image:
        assert image.mode == 'P'
        seen[name] = np.array(image)[0].tolist()
        colours = np.array(image.convert('RGB'))
    assert (colours == np.array(mask.convert('RGB'))).all()
print(seen)
assert seen == {'mask.png': [0, 3, 7, 255], 'mask.gif': [0, 1, 2, 3], 'kept.gif': [0, 3, 7, 255]}
PYTHON
