"""BoundaryQuality as the documentation has it in a LightningModule, in two processes on CPUs."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mmseg_pacbal.metrics import BoundaryQuality
from tests.metrics.test_torchmetrics import CLASSES, logits_of, make_batch

lightning = pytest.importorskip('lightning')
pytestmark = pytest.mark.slow


class Model(lightning.LightningModule):
    """One convolution on logits, which training barely changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(CLASSES, CLASSES, 1)
        self.quality = BoundaryQuality(CLASSES)
        self.folder = folder

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + 0.01 * self.layer(inputs)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        inputs, target = batch
        return nn.functional.cross_entropy(self(inputs), target, ignore_index=255)

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        inputs, target = batch
        self.quality.update(self(inputs), target)

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.quality.compute())
        self.quality.reset()

    def on_fit_end(self) -> None:
        logged = {name: value.item() for name, value in self.trainer.logged_metrics.items()}
        Path(self.folder, f'{self.global_rank}.json').write_text(json.dumps(logged))
        if self.global_rank == 0:
            torch.save(self.state_dict(), self.folder / 'model.pt')

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_two_processes_of_lightning(tmp_path):
    preds, target = make_batch(6)
    inputs = logits_of(preds)
    loader = DataLoader(TensorDataset(inputs, target), batch_size=2)
    trainer = lightning.Trainer(
        accelerator='cpu',
        devices=2,
        strategy='ddp_spawn',
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Model(tmp_path), loader, loader)

    model = Model(tmp_path)
    model.load_state_dict(torch.load(tmp_path / 'model.pt'))
    model.quality.update(model(inputs), target)
    expected = {name: score.item() for name, score in model.quality.compute().items()}
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected
