#!/usr/bin/env bash
# scikit-image: join_segmentations of label maps in uint8 gives different regions one number, since it computes in uint8.
#
# Versions:  scikit-image 0.26.0, numpy 2.4.6
# Input:     label maps of 17 stripes across and 17 down, and of 257 and 257, so that no two pixels agree in both, as
#            unsigned integers and int64; and, in uint8, two halves joined with three stripes of 0, 1 and void (255)
# Expected:  the docstring: "two voxels are in the same segment if and only if they are in the same segment in both"; that
#            is 289 regions of 17 x 17 stripes and 66,049 of 257 x 257; and 6 of the halves and stripes
# Seen:      256 regions of 17 x 17 stripes in uint8, and 65,536 of 257 x 257 in uint16, without a message, and the mappings
#            of return_mapping=True lead 33 and 513 pixels elsewhere. Right in wider types. Beside void the halves are
#            ignored: 3 regions, and NumPy's RuntimeWarning of an overflow
# Matters:   classes and numbers of objects are often kept in bytes: with 17 of each, regions far apart become one, and with
#            a void label all of the other map is lost
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-image==0.26.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
from skimage.segmentation import join_segmentations


def count(first, second):
    """Number of regions, and in how many pixels the mappings give the first and the second input back."""
    join, to_first, to_second = join_segmentations(first, second, return_mapping=True)
    return len(np.unique(join)), int((to_first[join] == first).sum()), int((to_second[join] == second).sum())


warnings.simplefilter('error')  # so that none of the following gives a warning
for stripes in (17, 257):
    for name in ('uint8', 'uint16', 'uint32', 'uint64', 'int64')[stripes > 255 :]:
        seen = count(*np.indices((stripes, stripes)).astype(name))
        print(f'{stripes} x {stripes} stripes, {name}: regions, pixels mapped back: {seen}')
        lost = {(17, 'uint8'): 33, (257, 'uint16'): 513}.get((stripes, name), 0)
        assert seen == (stripes**2 - lost,) * 3

warnings.simplefilter('ignore')
halves = np.repeat([[0], [1]], 6, 1)
stripes = np.repeat([[0, 0, 1, 1, 255, 255]], 2, 0)
for dtype in (np.uint8, np.int64):
    join = join_segmentations(halves.astype(dtype), stripes.astype(dtype))
    print('halves and stripes with void,', np.dtype(dtype).name, join.tolist())
    assert len(np.unique(join)) == (3 if dtype == np.uint8 else 6)
PYTHON
