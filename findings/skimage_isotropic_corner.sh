#!/usr/bin/env bash
# scikit-image: the isotropic dilation of an empty mask has an object in the corner, and the erosion of a full one a hole.
#
# Versions:  scikit-image 0.26.0, scipy 1.17.1, numpy 2.4.6
# Input:     isotropic_dilation of a mask of 6 x 8 pixels without any True, radius 1, 2 and 3; isotropic_erosion and
#            isotropic_closing of one without any False
# Expected:  an empty mask and a full one, as dilation, erosion and closing with a disk give, of which the isotropic
#            functions are to be faster forms for binary images and large circular footprints
# Seen:      1, 3 and 7 pixels of the other value at the upper left corner, by radius; the closing of a full mask is not
#            full. Right as soon as one pixel of the mask has the other value. SciPy's distance_transform_edt, which these
#            functions ask, measures from row -1, column 0 if there is no background (SciPy issue 15585)
# Matters:   masks of one class are widened image by image, to close gaps or to mark rims: every image without the class
#            gets an object of it
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from skimage import morphology

empty = np.zeros((6, 8), bool)
sizes = {}
for radius in (1, 2, 3):
    disk = morphology.disk(radius)
    dilated, eroded = morphology.isotropic_dilation(empty, radius), morphology.isotropic_erosion(~empty, radius)
    sizes[radius] = int(dilated.sum()), int((~eroded).sum())
    assert dilated[0, 0] and not eroded[0, 0]
    assert not morphology.dilation(empty, disk).any() and morphology.erosion(~empty, disk).all()
print('dilation of an empty mask, radius 2:', morphology.isotropic_dilation(empty, 2).astype(int).tolist())
print('pixels that appear and that vanish, by radius:', sizes)
assert sizes == {1: (1, 1), 2: (3, 3), 3: (7, 7)}

closed = morphology.isotropic_closing(~empty, 1)
print('pixels of a closed full mask that are missing:', int((~closed).sum()))
assert not closed.all() and morphology.closing(~empty, morphology.disk(1)).all()

single = empty.copy()
single[3, 4] = True
assert morphology.isotropic_dilation(single, 1).sum() == 5
PYTHON
