"""How large the boundary weights E_G are on label maps.

A mean far above 1 acts like a learning rate that is larger by this factor: lower the rate
accordingly, or use normalize='mean'.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ..datasets.palette import VOID
from ..losses import BoundaryAwareLoss
from ..markdown import to_markdown
from ..openmmlab.data_checks.masks import read_mask
from ..openmmlab.terminal import track
from .images import label_paths

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BIN, LARGEST = 0.01, 400  # of the histogram from which quantiles are read


def main(args: argparse.Namespace) -> None:
    loss = BoundaryAwareLoss(**args.loss)
    print(weight_table({folder: read_labels(Path(folder)) for folder in args.folders}, loss))


def read_labels(folder: Path) -> list[Tensor]:
    """All label maps below a folder, (1, H, W) uint8 each."""
    return [torch.from_numpy(read_mask(str(path)).copy())[None] for path in label_paths(folder)]


def weight_table(groups: dict[str, list[Tensor]], loss: BoundaryAwareLoss) -> str:
    """Markdown: a row for each group of label maps; if only some have void, also one for each kind.

    ``under 1`` is the share of pixels that count less than in plain cross entropy.
    """
    rows = []
    for name, labels in groups.items():
        void = [bool((label == VOID).any()) for label in labels]
        kinds = {name: labels}
        if any(void) and not all(void):
            pairs = list(zip(labels, void, strict=True))
            kinds[f'{name}, with void'] = [label for label, has in pairs if has]
            kinds[f'{name}, without'] = [label for label, has in pairs if not has]
        for kind, maps in kinds.items():
            counted = track(maps, f'Weighing {kind}', len(maps))
            mean, quantiles, under = weight_statistics(counted, loss)
            cells = (f'{value:.1f}' for value in (mean, *quantiles))
            rows.append([kind, str(len(maps)), *cells, f'{under:.1%}'])
    head = ['labels', 'maps', 'mean', *(f'{q:.0%}' for q in QUANTILES), 'under 1']
    return to_markdown(head, rows, left=1)


def weight_statistics(
    labels: Iterable[Tensor], loss: BoundaryAwareLoss
) -> tuple[float, list[float], float]:
    """Mean, :data:`QUANTILES` and share under 1 of E_G at the pixels that are not void (255).

    Quantiles are exact to 0.005, and no larger than 400; ``normalize='mean'`` of the loss divides
    by the mean of a single map.
    """
    counts, total = torch.zeros(round(LARGEST / BIN), dtype=torch.float64), 0.0
    for label in labels:
        weight = loss.weight_map(label)[label != VOID]
        for part in weight.clamp(max=LARGEST).split(2**24):  # as far as histc's float32 counts
            counts += torch.histc(part, len(counts), 0, LARGEST)
        total += weight.double().sum().item()
    share = counts.cumsum(0) / counts.sum()
    levels = [(torch.searchsorted(share, q).item() + 0.5) * BIN for q in QUANTILES]
    return total / counts.sum().item(), levels, share[round(1 / BIN) - 1].item()
