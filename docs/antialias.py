"""What antialiasing does to the boundary weights: python docs/antialias.py FOLDER ...

Draws docs/images/antialias.png and, for each folder of label maps, prints how much E_G depends on
where a label lies in the grid of 4 x 4 pixels.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from mmseg_pacbal.apps.weight_statistics import read_labels
from mmseg_pacbal.markdown import to_markdown
from mmseg_pacbal.ops import boundary_weight_map

PICTURE = Path(__file__).parent / 'images' / 'antialias.png'


def square(offset: int) -> tuple[Tensor, dict[bool, Tensor]]:
    """A square at an offset, (1, H, W), and its weights with and without antialiasing."""
    label = torch.zeros(1, 256, 256, dtype=torch.long)
    label[:, 64 + offset : 192 + offset, 64 + offset : 192 + offset] = 1
    return label, {on: boundary_weight_map(label, antialias=on) for on in (True, False)}


def picture() -> Figure:
    figure = Figure(figsize=(9, 7), layout='constrained')
    axes = figure.subplots(3, 4)
    for k, column in enumerate(axes.T):
        label, weights = square(k)
        column[0].imshow(label[0], cmap='gray')
        column[0].set_title(f'label, offset {k}', fontsize=9)
        for ax, (on, weight) in zip(column[1:], weights.items(), strict=True):
            drawn = ax.imshow(weight[0], cmap='inferno', vmin=0, vmax=25)
            ax.set_title(f'antialias={on}: mean {weight.mean():.1f}', fontsize=9)
    figure.colorbar(drawn, ax=axes[1:], label='$E_G$', fraction=0.03)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure


def spread(labels: list[Tensor], antialias: bool) -> float:
    """Deviation of a pixel's weight over four diagonal offsets, as a share of the mean weight."""
    deviation = mean = 0.0
    for label in labels:
        padded = F.pad(label[0], (4, 4, 4, 4), value=int(label[0, 0, 0]))
        height, width = label.shape[1:]
        maps = []
        for k in range(4):
            shifted = padded[None, k : k + height + 4, k : k + width + 4].contiguous()
            weight = boundary_weight_map(shifted, antialias=antialias, beta=0.0)
            maps.append(weight[0, 4 - k : 4 - k + height, 4 - k : 4 - k + width])
        deviation += torch.stack(maps).std(dim=0, correction=0).sum().item()
        mean += torch.stack(maps).mean(dim=0).sum().item()
    return deviation / mean


def main(folders: list[str]) -> None:
    picture().savefig(PICTURE, dpi=80)
    rows = []
    for folder in folders:
        labels = read_labels(Path(folder))[::20]
        rows.append([folder, *(f'{100 * spread(labels, on):.1f} %' for on in (True, False))])
    if rows:
        print(to_markdown(['labels', 'antialias=True', 'antialias=False'], rows, left=1))
    print(f'written to {PICTURE}')


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('folders', nargs='*', metavar='FOLDER', help='of label maps, *.png')
    main(p.parse_args().folders)
