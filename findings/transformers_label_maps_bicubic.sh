#!/usr/bin/env bash
# transformers: the image processors of BEiT, DPT and Sapiens2 interpolate label maps as they do images, which makes up
# classes.
#
# Versions:  transformers 5.24.0, torch 2.14.1, torchvision 0.29.1, pillow 13.0.0, numpy 2.4.6
# Input:     segmentation_maps of 100 x 100 pixels: a square of class 12 on background 0, and the same with a rim of void
#            (255), as uint8 and as int64; the processors as they come, but for a size of 64 x 64
# Expected:  labels of the input and no others, as the processors of SegFormer, MobileViT and MobileNetV2 give
# Seen:      these three take the nearest pixel. BEiT and DPT interpolate bicubically and Sapiens2 bilinearly, as for images:
#            classes 1, 2, 3 and 5 along the square, of BEiT and DPT with int64 also -1; a dozen or more others along the
#            rim, with int64 down to -12. They are 2 to 13 % of all pixels here. No message
# Matters:   a network that is fine-tuned with them learns classes along boundaries that are not there, and void becomes a
#            class. Their _preprocess runs a second time for the maps, without rescaling but with the same resample
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q \
    transformers==5.24.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0 numpy==2.4.6
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import transformers

square = np.zeros((100, 100), np.int64)
square[20:60, 20:60] = 12
rimmed = square.copy()
rimmed[17:63, 17:63] = 255
rimmed[20:60, 20:60] = 12
image = np.zeros((100, 100, 3), np.uint8)
for name in ('Segformer', 'MobileViT', 'MobileNetV2', 'Beit', 'DPT', 'Sapiens2'):
    processor = getattr(transformers, name + 'ImageProcessor')
    square_size = dict(height=64, width=64)
    if name.startswith('Mobile'):
        processor = processor(size=dict(shortest_edge=64), crop_size=square_size)
    else:
        processor = processor(size=square_size)
    for what, label in dict(square=square, rimmed=rimmed).items():
        for dtype in (np.uint8, np.int64):
            result = processor(images=image, segmentation_maps=label.astype(dtype), return_tensors='np')['labels']
            others = ~np.isin(result, label)
            print(
                f'{name}, {what}, {np.dtype(dtype).name}: {others.mean():.1%} of the pixels are of other classes:',
                np.unique(result[others]).tolist(),
            )
            assert result.shape == (1, 64, 64)
            if name in ('Segformer', 'MobileViT', 'MobileNetV2'):
                assert not others.any()
            else:
                assert 0.02 < others.mean() < 0.13
                assert what == 'rimmed' or {1, 2, 3, 5} <= set(result[others].tolist())
                assert (result.min() < 0) == (name != 'Sapiens2' and dtype == np.int64)
PYTHON
