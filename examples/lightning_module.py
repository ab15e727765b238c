"""Boundary-aware Loss and BoundaryQuality in a LightningModule.

    pip install ".[torchmetrics]" lightning torchvision
    python examples/lightning_module.py

Random initial weights, a minute on two cores; with --devices 2 in two processes. The lines marked
"new" are all that changes.
"""

import argparse

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from mmseg_pacbal import BoundaryAwareLoss, BoundaryQuality  # new
from mmseg_pacbal.datasets import SyntheticScenes


class Segmentation(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        classes = len(SyntheticScenes.classes)
        self.model = lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=classes)
        self.loss = BoundaryAwareLoss(normalize='mean')  # new
        self.quality = BoundaryQuality(classes, widths=[4])  # new

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        image, label = batch
        loss = self.loss(self.model(image)['out'], label)
        if (self.global_step + 1) % 25 == 0:
            self.print(f'step {self.global_step + 1}: loss {loss.item():.3f}')
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        image, label = batch
        self.quality.update(self.model(image)['out'], label)

    def on_validation_epoch_end(self) -> None:
        scores = self.quality.compute()  # of all processes
        self.log_dict({name: round(100 * score.item(), 1) for name, score in scores.items()})
        self.quality.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--iterations', type=int, default=200)
    p.add_argument('--devices', type=int, default=1)
    args = p.parse_args()
    lightning.seed_everything(0)
    trainer = lightning.Trainer(
        accelerator='cpu', devices=args.devices, max_steps=args.iterations,
        strategy='ddp_spawn' if args.devices > 1 else 'auto', limit_val_batches=1.0,
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
    )  # fmt: skip
    model = Segmentation()
    val = DataLoader(SyntheticScenes(32, seed=1), batch_size=8)
    print('before', trainer.validate(model, val, verbose=False)[0])
    trainer.fit(model, DataLoader(SyntheticScenes(64), batch_size=8, shuffle=True))
    print('after ', trainer.validate(model, val, verbose=False)[0])


if __name__ == '__main__':
    main()
