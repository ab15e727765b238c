"""PACHead against MMSegmentation's DeepLabV3 head, and whole training steps.

python -m benchmarks.pac_head            both heads on the same feature
python -m benchmarks.pac_head --steps    training steps of three configs on a reduced crop
"""

import argparse

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch import Tensor, nn

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import ROOT, Run, measure_times, parser, peak_memory, save

HEAD = dict(in_channels=2048, in_index=0, num_classes=21, norm_cfg=dict(type='BN'))
CONFIGS = {
    'pac_bal_voc': 'configs/pac_bal_voc.py',
    'deeplabv3_voc': 'configs/deeplabv3_voc.py',
    'MMSegmentation deeplabv3_r101-d8': (
        'mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py'
    ),
}
MIN_SPEEDUP = 7


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    set_random_seed(0)
    if args.steps:
        save('training_step', training_steps(args), args)
    else:
        save('pac_head', [heads(args, size) for size in (33, 65)], args)


def heads(args: argparse.Namespace, size: int) -> dict:
    """Forward and forward+backward of both heads on one feature, against the bar."""
    x = torch.randn(1, 2048, size, size, device=args.device)
    configs = {
        'PACHead': dict(type='PACHead', channels=256),
        'ASPPHead, 512 channels': dict(type='ASPPHead', channels=512, dilations=(1, 12, 24, 36)),
    }
    # A pooled 1 x 1 feature of one image has no batch statistics: norms are evaluated.
    models = {
        name: MODELS.build(dict(cfg, **HEAD)).to(args.device).eval()
        for name, cfg in configs.items()
    }
    result = dict(size=size)
    for mode, wrap in dict(forward=inference, training=training).items():
        runs = {name: wrap(model, x) for name, model in models.items()}
        result[mode] = measure(runs, args, images=1)
        pac, aspp = (times['p50'] for times in result[mode]['times'].values())
        met = 'met' if aspp / pac >= MIN_SPEEDUP else 'MISSED'
        print(f'1 x 2048 x {size} x {size}, {mode}: {aspp / pac:.1f} times faster, ', end='')
        print(f'at least {MIN_SPEEDUP}: {met}')
    return result


def inference(head: nn.Module, x: Tensor) -> Run:
    return torch.no_grad()(lambda: head([x]))


def training(head: nn.Module, x: Tensor) -> Run:
    x = x.clone().requires_grad_()
    weights = [weight for weight in head.parameters() if weight.requires_grad]
    return lambda: torch.autograd.grad(head([x]).sum(), [x, *weights], allow_unused=True)


def training_steps(args: argparse.Namespace) -> dict:
    """Forward, loss, backward and update of whole models, images per second and memory."""
    runs = {name: training_step(path, args) for name, path in CONFIGS.items()}
    return dict(crop=args.crop, batch=args.batch, **measure(runs, args, images=args.batch))


def training_step(path: str, args: argparse.Namespace) -> Run:
    cfg = get_config(path) if path.startswith('mmseg::') else Config.fromfile(ROOT / path)
    cfg.model.data_preprocessor.size = (args.crop, args.crop)
    # One process: batch norms have nothing to synchronise with.
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(args.device).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, 0.9, weight_decay=1e-4)
    data = dict(inputs=images(args), data_samples=labels(args))

    def step() -> None:
        losses = model(**model.data_preprocessor(data, training=True), mode='loss')
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()

    return step


def images(args: argparse.Namespace) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (3, args.crop, args.crop)
    return [
        torch.randint(256, shape, generator=generator, dtype=torch.uint8) for _ in range(args.batch)
    ]


def labels(args: argparse.Namespace) -> list[SegDataSample]:
    """Squares of 32 pixels, one class each."""
    generator = torch.Generator().manual_seed(0)
    side = -(-args.crop // 32)
    samples = []
    for _ in range(args.batch):
        label = torch.randint(21, (1, side, side), generator=generator)
        label = label.repeat_interleave(32, 1).repeat_interleave(32, 2)
        label = label[:, : args.crop, : args.crop].contiguous()
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return samples


def measure(runs: dict[str, Run], args: argparse.Namespace, images: int) -> dict:
    """Times and peak memory of every candidate, printed."""
    times = measure_times(runs, args.repeats, args.device)
    memory = {name: peak_memory(run, args.device) for name, run in runs.items()}
    table = PrettyTable(['', 'p20 ms', 'p50 ms', 'p80 ms', 'images/s', 'memory MB'])
    for name, time in times.items():
        milliseconds = [f'{1e3 * time[q]:.1f}' for q in ('p20', 'p50', 'p80')]
        rate = f'{images / time["p50"]:.2f}'
        table.add_row([name, *milliseconds, rate, f'{memory[name] / 1e6:.1f}'])
    print(table)
    return dict(times=times, memory=memory)


if __name__ == '__main__':
    arguments = parser(__doc__.partition('\n')[0])
    arguments.add_argument('--steps', action='store_true', help='whole training steps')
    arguments.add_argument('--crop', type=int, default=257, help='pixels, of --steps')
    arguments.add_argument('--batch', type=int, default=2, help='images, of --steps')
    main(arguments.parse_args())
