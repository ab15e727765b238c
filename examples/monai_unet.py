"""Boundary-aware Loss in MONAI, in two dimensions.

    pip install ".[torchmetrics]" "monai[ignite]"
    python examples/monai_unet.py

Random initial weights, a minute on two cores. The lines marked "new" are all that changes.
"""

import argparse

import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.handlers import from_engine
from monai.networks.nets import UNet
from torch import Tensor, nn

from mmseg_pacbal import BoundaryAwareLoss, BoundaryQuality  # new
from mmseg_pacbal.datasets import SyntheticScenes


def collate(samples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    images, labels = zip(*samples, strict=True)
    return dict(image=torch.stack(images), label=torch.stack(labels))


@torch.no_grad()
def score(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    metric = BoundaryQuality(len(SyntheticScenes.classes), widths=[4])
    model.eval()
    for batch in loader:
        metric.update(model(batch['image']), batch['label'])
    return {name: round(100 * value.item(), 1) for name, value in metric.compute().items()}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--epochs', type=int, default=20)
    args = p.parse_args()
    torch.manual_seed(0)
    train = DataLoader(SyntheticScenes(64), batch_size=8, shuffle=True, collate_fn=collate)
    val = DataLoader(SyntheticScenes(32, seed=1), batch_size=8, collate_fn=collate)
    classes = len(SyntheticScenes.classes)
    model = UNet(2, 3, classes, (16, 32, 64, 128), (2, 2, 2), num_res_units=2)  # of images in RGB
    print('before', score(model, val))
    trainer = SupervisedTrainer(
        device=torch.device('cpu'),
        max_epochs=args.epochs,
        train_data_loader=train,
        network=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3),
        # before: monai.losses.DiceCELoss(to_onehot_y=True, softmax=True)
        loss_function=BoundaryAwareLoss(normalize='mean'),  # new
    )

    @trainer.on(Events.ITERATION_COMPLETED(every=25))
    def print_loss(engine: SupervisedTrainer) -> None:
        loss = from_engine('loss', first=True)(engine.state.output)
        print(f'step {engine.state.iteration}: loss {loss:.3f}')

    trainer.run()
    print('after ', score(model, val))


if __name__ == '__main__':
    main()
