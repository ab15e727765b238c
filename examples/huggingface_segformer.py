"""Boundary-aware Loss in Hugging Face's SegFormer, trained by its Trainer.

    pip install ".[torchmetrics]" transformers accelerate
    python examples/huggingface_segformer.py

Random initial weights, a minute on two cores. The lines marked "new" are all that changes.
"""

import argparse
import tempfile

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    Trainer,
    TrainingArguments,
)

from mmseg_pacbal import BoundaryAwareLoss, BoundaryQuality  # new
from mmseg_pacbal.datasets import SyntheticScenes

bal = BoundaryAwareLoss(normalize='mean')  # new


def loss_at_full_size(outputs, labels: Tensor, num_items_in_batch=None) -> Tensor:
    """SegFormer predicts at a quarter of the size of the image."""
    size = labels.shape[-2:]
    return bal(F.interpolate(outputs.logits, size, mode='bilinear'), labels)


@torch.no_grad()
def score(model: torch.nn.Module, scenes: SyntheticScenes) -> dict[str, float]:
    metric = BoundaryQuality(len(scenes.classes), widths=[4])
    model.eval()
    for image, label in scenes:
        logits = model(image[None]).logits
        metric.update(F.interpolate(logits, label.shape, mode='bilinear'), label[None])
    return {name: round(100 * value.item(), 1) for name, value in metric.compute().items()}


def collate(samples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    images, labels = zip(*samples, strict=True)
    return dict(pixel_values=torch.stack(images), labels=torch.stack(labels))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--iterations', type=int, default=150)
    args = p.parse_args()
    torch.manual_seed(0)
    config = SegformerConfig(num_labels=len(SyntheticScenes.classes))  # the smallest, MiT-B0
    model, val = SegformerForSemanticSegmentation(config), SyntheticScenes(32, seed=1)
    print('before', score(model, val))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder, max_steps=args.iterations, per_device_train_batch_size=8, learning_rate=1e-3,
            save_strategy='no', report_to=[], disable_tqdm=True, use_cpu=True, seed=0,
            logging_steps=25,
        )  # fmt: skip
        Trainer(
            model, options, collate, SyntheticScenes(64), compute_loss_func=loss_at_full_size
        ).train()  # new: compute_loss_func
    print('after ', score(model, val))


if __name__ == '__main__':
    main()
