#!/usr/bin/env bash
# Keras on PyTorch: RandomRotation turns a segmentation mask otherwise than its image.
#
# Versions:  keras 3.15.1, torch 2.13.0 (CPU), jax 0.10.2, numpy 2.4.6
# Input:     RandomRotation(factor=(a, a), fill_mode='constant', interpolation='nearest') of images and segmentation_masks
#            with the same content, a rectangle of 3 x 5 in 9 x 9 pixels, one and a batch of two; a of 1/4 and 1/20 of a turn
# Expected:  mask and image are turned alike, as with JAX; by a quarter of a turn, as np.rot90 does
# Seen:      with PyTorch the image is right. The mask is empty after a quarter of a turn: all was turned out of it; after a
#            twentieth 5 of its 15 pixels are left, 2 of them on the object. The backend's affine_transform swaps entries of
#            the matrix that it is given, in place, and the mask is turned with what the image left; so do two equal
#            calls of keras.ops.image.affine_transform with one tensor differ
# Matters:   the way that Keras documents, "images" and "segmentation_masks" in one dictionary, trains on masks of other
#            places, without a message
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
cat > run.py <<'PYTHON'
import keras
import numpy as np

torch = keras.backend.backend() == 'torch'
label = np.zeros((9, 9, 1), 'uint8')
label[1:4, 2:7] = 1


def turned(angle, content):
    """Image and mask after a rotation, without their axes of batch and channel."""
    layer = keras.layers.RandomRotation((angle, angle), fill_mode='constant', interpolation='nearest')
    result = layer({'images': content.astype('float32'), 'segmentation_masks': content}, training=True)
    pair = [keras.ops.convert_to_numpy(result[key]).astype(int) for key in ('images', 'segmentation_masks')]
    return [array.reshape(-1, 9, 9)[0] for array in pair]


for angle, left in ((1 / 4, 0), (1 / 20, 5)):
    for content in (label, np.stack([label] * 2)):
        image, mask = turned(angle, content)
        counts = int(image.sum()), int(mask.sum()), int((image & mask).sum())
        print(f'{keras.backend.backend()}, {angle} of a turn: object in image, mask and both: {counts}')
        assert angle < 1 / 4 or (image == np.rot90(label[..., 0])).all()
        assert counts == ((15, left, 2 if left else 0) if torch else (15, 15, 15))

image = np.arange(81, dtype='float32').reshape(1, 9, 9, 1)
matrix = keras.ops.convert_to_tensor(np.array([[1, 0, 4, 0, 1, 1, 0, 0]], 'float32'))
twice = [keras.ops.convert_to_numpy(keras.ops.image.affine_transform(image, matrix)) for _ in range(2)]
print('affine_transform twice: equal:', (twice[0] == twice[1]).all())
assert (twice[0] == twice[1]).all() != torch
PYTHON
for backend in jax torch; do
    KERAS_HOME="$folder" KERAS_BACKEND=$backend JAX_PLATFORMS=cpu venv/bin/python -W ignore run.py
done
