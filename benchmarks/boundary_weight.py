"""Cost of the weight map, or what it is on real labels.

python -m benchmarks.boundary_weight
python -m benchmarks.boundary_weight --statistics ../shared/data/voc_labels

The second prints the tables of docs/boundary_weights.md and draws its picture.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from prettytable import PrettyTable
from torch import Tensor

from benchmarks.harness import ROOT, Run, measure_times, parser, save
from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.losses.label_check import as_bytes
from mmseg_pacbal.ops import boundary_weight_map
from tests.reference import boundary_weight_map_reference

PICTURE = ROOT / 'docs' / 'images' / 'antialias.png'
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BIN, LARGEST = 0.01, 400  # of the histogram from which quantiles are read


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    label = blocks(21, (1, 513, 513), args.device)
    # Equal first.
    expected = boundary_weight_map_reference(label)
    error = ((boundary_weight_map(label) - expected).abs().max() / expected.max()).item()
    if error > 1e-5:
        raise ValueError(f'the map differs from the reference by {error:.2e} of the maximum')

    def maps(label: Tensor) -> Run:
        return lambda: boundary_weight_map(label)

    def time(runs: dict[str, Run]) -> dict[str, dict]:
        return measure_times(runs, args.repeats, args.device)

    def maps_of_the_loss(label: Tensor) -> Run:
        loss = BoundaryAwareLoss()
        return lambda: loss.weight_map(as_bytes(label, 21, 255))

    results = dict(error=error)
    # As in training, where the map and the rest of the loss take turns.
    for n in (1, 4, 8):
        batch = label.repeat(n, 1, 1)
        results[f'batch of {n}'] = time(
            {
                f'map in the loss, {n} x 513 x 513': maps_of_the_loss(batch),
                f'loss step, {n} x 21 x 513 x 513': loss_step(batch),
            }
        )
    results['reference'] = time(
        {
            'map, 1 x 513 x 513': maps(label),
            'reference, 21 classes': lambda: boundary_weight_map_reference(label),
        }
    )
    results['classes'] = time(
        {
            f'map, {n} classes': maps(blocks(n, (1, 513, 513), args.device))
            for n in (2, 21, 150, 1000)
        }
    )
    torch.set_num_threads(1)
    results['one thread'] = time(
        {'map, 1 x 375 x 500, 1 thread': maps(blocks(21, (1, 375, 500), args.device))}
    )
    print(times_table(results))
    for n in (1, 4, 8):
        weight_map, step = (t['p50'] for t in results[f'batch of {n}'].values())
        print(f'map / loss step, batch of {n}: {weight_map / step:.2%}, at most 3 %')
    weight_map, reference = (t['p50'] for t in results['reference'].values())
    print(f'reference / map: {reference / weight_map:.0f}, at least 100')
    save('boundary_weight', results, args)


def blocks(classes: int, shape: tuple[int, int, int], device: str) -> Tensor:
    """Squares of 16 pixels, classes at random: the same boundaries whatever their number."""
    generator = torch.Generator().manual_seed(0)
    n, height, width = shape
    label = torch.randint(classes, (n, -(-height // 16), -(-width // 16)), generator=generator)
    label = label.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :height, :width]
    return label.contiguous().to(device)


def loss_step(label: Tensor) -> Run:
    """What a head does without the map: upsampling, cross entropy, backward."""
    logits = torch.randn(len(label), 21, 65, 65, device=label.device, requires_grad=True)

    def run() -> Tensor:
        large = F.interpolate(logits, label.shape[1:], mode='bilinear', align_corners=False)
        return torch.autograd.grad(F.cross_entropy(large, label), logits)[0]

    return run


def times_table(results: dict) -> PrettyTable:
    lines = PrettyTable(['what', 'p20 ms', 'p50 ms', 'p80 ms'], float_format='.2')
    groups = [group for group in results.values() if isinstance(group, dict)]
    for group in groups:
        for name, t in group.items():
            lines.add_row([name, *(1e3 * t[q] for q in ('p20', 'p50', 'p80'))])
    return lines


# What the map is on real labels


def statistics(args: argparse.Namespace) -> None:
    voc = read_labels(args.statistics)
    rim = [bool((label == 255).any()) for label in voc]
    groups = {
        'VOC': voc,
        'VOC, with rim': [label for label, has in zip(voc, rim, strict=True) if has],
        'VOC, no rim': [label for label, has in zip(voc, rim, strict=True) if not has],
        'CamVid': read_labels(args.camvid),
    }
    quantiles = ' | '.join(f'{q:.0%}' for q in QUANTILES)
    print(f'| labels | maps | mean | {quantiles} | under 1 | spread | spread, no antialias |')
    print('|---|' + '---:|' * (len(QUANTILES) + 5))
    for name, labels in groups.items():
        print(f'| {name} | {len(labels)} | {" | ".join(statistics_of(labels))} |', flush=True)
    draw_offsets(PICTURE)
    print(f'\npicture: {PICTURE}')


def statistics_of(labels: list[Tensor]) -> list[str]:
    """Mean, quantiles and share under 1 of E_G at pixels that are not void, then the spreads."""
    counts, total = torch.zeros(int(LARGEST / BIN)), 0.0
    for label in labels:
        weight = boundary_weight_map(label)[label != 255].clamp(max=LARGEST)
        counts += torch.histc(weight, len(counts), 0, LARGEST)
        total += weight.double().sum().item()
    share = counts.double().cumsum(0) / counts.double().sum()
    levels = [(torch.searchsorted(share, q).item() + 0.5) * BIN for q in QUANTILES]
    spreads = [offset_spread(labels[::20], antialias) for antialias in (True, False)]
    cells = [f'{value:.1f}' for value in (total / counts.double().sum().item(), *levels)]
    cells.append(f'{share[round(1 / BIN) - 1].item():.1%}')
    return cells + [f'{spread:.1%}' for spread in spreads]


def offset_spread(labels: list[Tensor], antialias: bool) -> float:
    """How much E_G depends on where a label lies in the grid of 4 x 4 pixels.

    Deviation of a pixel's weight over the four diagonal offsets, as a share of the mean.
    """
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


def draw_offsets(path: Path) -> None:
    """A square at four offsets, and its map with and without antialiasing."""
    figure = Figure(figsize=(9, 7), layout='constrained')
    axes = figure.subplots(3, 4)
    for k, column in enumerate(axes.T):
        label = torch.zeros(1, 256, 256, dtype=torch.long)
        label[:, 64 + k : 192 + k, 64 + k : 192 + k] = 1
        column[0].imshow(label[0], cmap='gray')
        column[0].set_title(f'label, offset {k}', fontsize=9)
        for ax, antialias in zip(column[1:], (True, False), strict=True):
            weight = boundary_weight_map(label, antialias=antialias)[0]
            drawn = ax.imshow(weight, cmap='inferno', vmin=0, vmax=25)
            ax.set_title(f'antialias={antialias}: mean {weight.mean():.1f}', fontsize=9)
    figure.colorbar(drawn, ax=axes[1:], label='$E_G$', fraction=0.03)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def read_labels(folder: str) -> list[Tensor]:
    """All label maps below a folder, (1, H, W) uint8 each."""
    paths = sorted(Path(folder).rglob('*.png'))
    if not paths:
        raise FileNotFoundError(f'{folder} holds no label map *.png')
    return [torch.from_numpy(np.array(Image.open(path)))[None] for path in paths]


if __name__ == '__main__':
    p = parser(__doc__)
    p.add_argument('--statistics', metavar='DIR', help="VOC's label maps, to describe E_G on them")
    p.add_argument('--camvid', default='../shared/data/camvid/labels', help="CamVid's label maps")
    args = p.parse_args()
    statistics(args) if args.statistics else main(args)
