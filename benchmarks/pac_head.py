"""PACHead against MMSegmentation's DeepLabV3 head on the same feature.

python -m benchmarks.pac_head
"""

import argparse
from collections.abc import Callable

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmseg.registry import MODELS
from torch import Tensor, nn

import mmseg_pacbal  # noqa: F401 (registers PACHead)
from benchmarks.harness import InTurn, fresh, main, measure_both
from benchmarks.records import ms, source
from mmseg_pacbal.markdown import to_markdown

HEAD = dict(in_channels=2048, in_index=0, num_classes=21, norm_cfg=dict(type='BN'))
HEADS = {
    'PACHead': dict(type='PACHead', channels=256),
    'ASPPHead, 512 channels': dict(type='ASPPHead', channels=512, dilations=(1, 12, 24, 36)),
}
SIZES = (33, 65)  # of the feature


def measure(args: argparse.Namespace) -> list[dict]:
    init_default_scope('mmseg')
    set_random_seed(0)
    return [heads(args, size) for size in SIZES]


def heads(args: argparse.Namespace, size: int) -> dict:
    shape = (1, 2048, size, size)
    features = fresh(
        lambda generator: torch.randn(shape, generator=generator).to(args.device).requires_grad_()
    )
    # A pooled 1 x 1 feature of one image has no batch statistics: norms are evaluated.
    models = {
        name: MODELS.build(dict(cfg, **HEAD)).to(args.device).eval() for name, cfg in HEADS.items()
    }
    runs = {
        mode: {name: InTurn(wrap(model), features) for name, model in models.items()}
        for mode, wrap in MODES.items()
    }
    return dict(size=size, **{mode: measure_both(both, args) for mode, both in runs.items()})


def inference(head: nn.Module) -> Callable[[Tensor], Tensor]:
    return torch.no_grad()(lambda x: head([x]))


def training(head: nn.Module) -> Callable[[Tensor], tuple]:
    weights = [weight for weight in head.parameters() if weight.requires_grad]
    return lambda x: torch.autograd.grad(head([x]).sum(), [x, *weights], allow_unused=True)


MODES = dict(forward=inference, training=training)


def of_both(sized: dict, mode: str, key: str) -> tuple:
    """The times or the memory of PACHead and of ASPPHead."""
    return tuple(sized[mode][key].values())


def table(record: dict) -> str:
    rows = []
    for sized in record['results']:
        for mode in MODES:
            pac, aspp = of_both(sized, mode, 'times')
            memory = (held / 1e6 for held in of_both(sized, mode, 'memory'))
            size = f'{sized["size"]}x{sized["size"]}'
            cells = [ms(pac), ms(aspp), f'{aspp["p50"] / pac["p50"]:.1f}']
            rows.append([size, mode, *cells, '{:.0f} and {:.0f} MB'.format(*memory)])
    head = ['size', 'pass', '`PACHead`', '`ASPPHead`, 512', 'times faster', 'memory of both']
    return to_markdown(head, rows, left=2) + source(record)


def summary(record: dict) -> dict[str, str]:
    def faster(mode: str) -> str:
        times = (of_both(sized, mode, 'times') for sized in record['results'])
        return ' and '.join(f'{aspp["p50"] / pac["p50"]:.1f}' for pac, aspp in times)

    memory = (of_both(sized, 'training', 'memory') for sized in record['results'])
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
