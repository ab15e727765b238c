#!/usr/bin/env bash
# OpenCV: equal calls of distanceTransform differ with the alignment of the memory they write to.
#
# Versions:  opencv-python-headless 5.0.0.93, numpy 2.4.6, x86-64 Linux
# Input:     a 64 x 64 mask with five zeros; DIST_L2, DIST_MASK_PRECISE, the documented argument dst given with
#            0, 4, 8 and 12 bytes of offset; OPENCV_IPP=sse42, so that any x86 CPU takes the same code of Intel IPP
# Expected:  the same result in all bits: the operation and the input are the same
# Seen:      results differ by up to 3.8e-06 in distances that are roots of whole numbers; equal with
#            OPENCV_IPP=disabled
# Matters:   a training or a score that uses distances is not repeated bit for bit in one process
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opencv-python-headless==5.0.0.93 numpy==2.4.6
cat > "$folder/show.py" <<'PYTHON'
import cv2
import numpy as np

mask = np.ones((64, 64), np.uint8)
mask[[3, 17, 40, 41, 63], [5, 60, 22, 23, 0]] = 0
memory = np.empty(64 * 64 * 4 + 64, np.uint8)
start = -memory.ctypes.data % 32
results = []
for offset in (0, 4, 8, 12):
    part = memory[start + offset :][: 64 * 64 * 4]
    out = part.view(np.float32).reshape(64, 64)
    given = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=out)
    assert given.ctypes.data == out.ctypes.data
    results.append(given.copy())
differences = [float(abs(result - results[0]).max()) for result in results]
print(cv2.__version__, 'largest difference by offset 0, 4, 8, 12:', differences)
raise SystemExit(0 if max(differences) > 0 else 3)
PYTHON
OPENCV_IPP=sse42 "$folder/venv/bin/python" "$folder/show.py"
if OPENCV_IPP=disabled "$folder/venv/bin/python" "$folder/show.py"; then
    echo 'changed: the results also differ without IPP'
    exit 1
fi
