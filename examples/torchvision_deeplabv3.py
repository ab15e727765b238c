"""Boundary-aware Loss in torchvision's DeepLabV3, its auxiliary classifier included.

    pip install ".[torchmetrics]" torchvision
    python examples/torchvision_deeplabv3.py

Random initial weights, a minute on two cores. The lines marked "new" are all that changes.
"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

from mmseg_pacbal import BoundaryAwareLoss, BoundaryQuality  # new
from mmseg_pacbal.datasets import SyntheticScenes


@torch.no_grad()
def score(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    metric = BoundaryQuality(len(SyntheticScenes.classes), widths=[4])
    model.eval()
    for image, label in loader:
        metric.update(model(image)['out'], label)
    return {name: round(100 * value.item(), 1) for name, value in metric.compute().items()}


def train(model: nn.Module, loader: DataLoader, iterations: int) -> None:
    # before: loss = nn.CrossEntropyLoss(ignore_index=255)
    loss = BoundaryAwareLoss(normalize='mean')  # new
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    done = 0
    while done < iterations:
        for image, label in loader:
            out = model(image)
            value = loss(out['out'], label) + 0.5 * loss(out['aux'], label)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            done += 1
            if done % 25 == 0:
                print(f'step {done}: loss {value.item():.3f}')
            if done == iterations:
                return


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--iterations', type=int, default=150)
    args = p.parse_args()
    torch.manual_seed(0)
    train_loader = DataLoader(SyntheticScenes(64), batch_size=8, shuffle=True)
    val_loader = DataLoader(SyntheticScenes(32, seed=1), batch_size=8)
    model = deeplabv3_mobilenet_v3_large(
        weights=None,
        weights_backbone=None,
        num_classes=len(SyntheticScenes.classes),
        aux_loss=True,
    )
    print('before', score(model, val_loader))
    train(model, train_loader, args.iterations)
    print('after ', score(model, val_loader))


if __name__ == '__main__':
    main()
