"""PACHead against MMSegmentation's DeepLabV3 head on the same feature.

python -m benchmarks.pac_head
"""

import argparse

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import Run, main, measure_both
from benchmarks.records import median, source
from mmseg_pacbal.markdown import to_markdown

HEAD = dict(in_channels=2048, in_index=0, num_classes=21, norm_cfg=dict(type='BN'))
HEADS = {
    'PACHead': dict(type='PACHead', channels=256),
    'ASPPHead, 512 channels': dict(type='ASPPHead', channels=512, dilations=(1, 12, 24, 36)),
}
MODES = ('forward', 'training')
SIZES = (33, 65)  # of the feature


def measure(args: argparse.Namespace) -> list[dict]:
    init_default_scope('mmseg')
    set_random_seed(0)
    return [heads(args, size) for size in SIZES]


def heads(args: argparse.Namespace, size: int) -> dict:
    x = torch.randn(1, 2048, size, size, device=args.device)
    # A pooled 1 x 1 feature of one image has no batch statistics: norms are evaluated.
    models = {
        name: MODELS.build(dict(cfg, **HEAD)).to(args.device).eval() for name, cfg in HEADS.items()
    }
    result: dict = dict(size=size)
    for mode, wrap in zip(MODES, (inference, training), strict=True):
        runs = {name: wrap(model, x) for name, model in models.items()}
        result[mode] = measure_both(runs, args)
    return result


def inference(head: nn.Module, x: Tensor) -> Run:
    return torch.no_grad()(lambda: head([x]))


def training(head: nn.Module, x: Tensor) -> Run:
    x = x.clone().requires_grad_()
    weights = [weight for weight in head.parameters() if weight.requires_grad]
    return lambda: torch.autograd.grad(head([x]).sum(), [x, *weights], allow_unused=True)


def of_both(sized: dict, mode: str) -> tuple[list[float], list[int]]:
    """Median seconds and memory of PACHead and of ASPPHead."""
    times, memory = (sized[mode][key].values() for key in ('times', 'memory'))
    return [median(t) for t in times], list(memory)


def table(record: dict) -> str:
    rows = []
    for sized in record['results']:
        for mode in MODES:
            (pac, aspp), memory = of_both(sized, mode)
            rows.append(
                [
                    f'{sized["size"]}x{sized["size"]}',
                    mode,
                    *(f'{1e3 * seconds:.0f} ms' for seconds in (pac, aspp)),
                    f'{aspp / pac:.1f}',
                    '{:.0f} and {:.0f} MB'.format(*(held / 1e6 for held in memory)),
                ]
            )
    head = ['size', 'pass', '`PACHead`', '`ASPPHead`, 512', 'times faster', 'memory of both']
    return to_markdown(head, rows, left=2) + source(record)


def summary(record: dict) -> dict[str, str]:
    def faster(mode: str) -> str:
        times = (of_both(sized, mode)[0] for sized in record['results'])
        return ' and '.join(f'{aspp / pac:.1f}' for pac, aspp in times)

    memory = (of_both(sized, 'training')[1] for sized in record['results'])
    share = ' and '.join(f'{pac / aspp:.2f}' for pac, aspp in memory)
    what = (
        "`PACHead` against `ASPPHead` with 512 channels (MMSegmentation's DeepLabV3), "
        '2048 channels at 33x33 and 65x65'
    )
    return {
        what: f'{faster("forward")} times faster forward, {faster("training")} in training; '
        f'{share} of the memory in training'
    }


if __name__ == '__main__':
    main(__file__, __doc__, measure, table)
