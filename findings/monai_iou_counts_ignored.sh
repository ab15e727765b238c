#!/usr/bin/env bash
# MONAI 1.6: with the same ignore_index, IoU counts the ignored pixels as false positives and Dice does not.
#
# Versions:  monai 1.6.1, torch 2.13.0 (CPU), numpy 2.4.6
# Input:     a label of three stripes of 8 pixels, classes 0, 1 and 2, in one-hot form; the prediction says 1 in the
#            stripe of class 2 as well; ignore_index=2. "Voxels with this label are excluded from the score", say
#            the documents of both metrics
# Expected:  outside the ignored stripe everything is right: Dice 1 and IoU 1 for the classes 0 and 1. For any pair of
#            masks IoU is Dice / (2 - Dice)
# Seen:      Dice 1, 1 and IoU 1, 0.5: MeanIoU empties channel 2 and leaves its pixels in. ConfusionMatrixMetric
#            does so, too (precision 0.5); GeneralizedDiceScore excludes them
# Matters:   the two scores of one prediction contradict each other, and which model is better depends on what it says
#            where nothing is known. A label outside the classes, as 255, is excluded by both
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q monai==1.6.1 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from monai.metrics import compute_generalized_dice, compute_iou, DiceMetric, get_confusion_matrix, MeanIoU

label = torch.tensor([0, 0, 1, 1, 2, 2]).expand(1, 4, 6)
prediction = torch.where(label == 2, 1, label)
prediction, label = (torch.nn.functional.one_hot(t, 3).movedim(-1, 1) for t in (prediction, label))
scores = {}
for metric in (DiceMetric, MeanIoU):
    score = metric(reduction='none', ignore_index=2)(prediction, label)[0, :2]
    scores[metric.__name__] = score.tolist()
scores['GeneralizedDice'] = compute_generalized_dice(prediction, label, ignore_index=2, sum_over_classes=False)[0].tolist()
tp, fp, tn, fn = get_confusion_matrix(prediction, label, ignore_index=2)[0, 1].tolist()
scores['precision of class 1'] = tp / (tp + fp)
label[:, 2] = 0  # void as all zeros, which is how a label outside the classes looks in one-hot form
scores['IoU, ignore_index=255'] = compute_iou(prediction, label, ignore_index=255)[0, :2].tolist()
for name, score in scores.items():
    print(f'{name}:', score)
assert scores['DiceMetric'] == scores['GeneralizedDice'] == scores['IoU, ignore_index=255'] == [1, 1]
assert scores['MeanIoU'] == [1, 0.5] and scores['precision of class 1'] == 0.5
PYTHON
