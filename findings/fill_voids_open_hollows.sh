#!/usr/bin/env bash
# fill_voids fills background that reaches the boundary of a volume.
#
# Versions:  fill_voids 2.1.2, scipy 1.17.1, numpy 2.4.6
# Input:     a volume of 2 x 2 x 3 voxels, all of which lie on its boundary, with three background voxels; 400 random
#            volumes of 12 x 12 x 12 and as many random images of 12 x 12, between half and three quarters foreground
# Expected:  what scipy.ndimage.binary_fill_holes gives: a void is background without a way to the boundary along faces,
#            so nothing can be filled in the first volume
# Seen:      one background voxel of the first volume is filled. Of the 400 volumes 47 differ from SciPy: up to 7 voxels
#            are filled that have a way out; no void is missed. All 400 images agree
# Matters:   the cleaning of 3D masks closes channels and pockets that are open, at the rim of a crop most of all
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q fill_voids==2.1.2 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import fill_voids
import numpy as np
from scipy.ndimage import binary_fill_holes


def compare(volume):
    """Voxels that only fill_voids fills, and voxels that only SciPy fills."""
    filled, right = fill_voids.fill(volume.copy(), in_place=False) != 0, binary_fill_holes(volume)
    return int((filled & ~right).sum()), int((right & ~filled).sum())


volume = np.array([[[1, 0, 1], [0, 1, 1]], [[0, 1, 1], [1, 1, 1]]], np.uint8)
print('before:', volume.tolist(), 'after:', fill_voids.fill(volume.copy(), in_place=False).tolist())
assert compare(volume) == (1, 0)
for dimensions in (2, 3):
    generator = np.random.default_rng(0)
    shape = (12,) * dimensions
    seen = np.array([compare(generator.random(shape) < generator.uniform(0.5, 0.75)) for _ in range(400)])
    print(dimensions, 'dimensions: differing:', int(seen.any(1).sum()), 'filled, missed at most:', seen.max(0).tolist())
    assert not seen[:, 1].any()
    assert (int(seen.any(1).sum()), int(seen[:, 0].max())) == ((0, 0) if dimensions == 2 else (47, 7))
PYTHON
