"""float32 and bfloat16 on a CPU: training step, inference and their parts, with either layout.

python -m benchmarks.mixed_precision    on one thread

bfloat16 is torch.autocast, as --amp trains and tests on a CPU: weights stay float32 and are cast in
every call. A part is run forward and backward; inference has no backward pass.
"""

import argparse
from collections.abc import Iterator

import torch
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

import mmseg_pacbal  # noqa: F401 (importing registers)
from benchmarks.harness import Run, blocks, main, measure_times
from benchmarks.records import ROOT, source
from mmseg_pacbal.markdown import to_markdown

CONFIGS = dict(pac_bal_camvid_mini=4, pac_bal_camvid=2)  # and the images of a batch
FORMS = {
    'float32': (torch.float32, torch.contiguous_format),
    'float32, channels_last': (torch.float32, torch.channels_last),
    'bfloat16': (torch.bfloat16, torch.contiguous_format),
    'bfloat16, channels_last': (torch.bfloat16, torch.channels_last),
}
# Of the loss, to that of plain float32: rounding of float32, and bfloat16's eight bits.
MAX_ERROR = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


def measure(args: argparse.Namespace) -> list[dict]:
    init_default_scope('mmseg')
    rows = []
    for name, batch in CONFIGS.items():
        forms = {form: runs(name, batch, args.crop, *how) for form, how in FORMS.items()}
        check({form: found.pop('loss value')() for form, found in forms.items()})
        for part in forms['float32']:
            times = measure_times(
                {form: found[part] for form, found in forms.items()}, args.repeats
            )
            rows += [
                dict(config=name, crop=args.crop, batch=batch, part=part, form=form, **seconds)
                for form, seconds in times.items()
            ]
    return rows


def check(losses: dict[str, Tensor]) -> None:
    expected = losses['float32']
    for form, loss in losses.items():
        error = (loss / expected - 1).abs().item()
        if not error <= MAX_ERROR[FORMS[form][0]]:
            raise ValueError(f'the loss in {form} differs from that in float32 by {error:.1e}')


def runs(
    name: str, batch: int, crop: int, dtype: torch.dtype, layout: torch.memory_format
) -> dict[str, Run]:
    """Every part of a config in one dtype and layout; the same weights and images in all."""
    set_random_seed(0)
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(memory_format=layout)
    images = torch.randn(batch, 3, crop, crop).to(memory_format=layout)
    labels = blocks(model.decode_head.num_classes, (batch, crop, crop), side=32)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    cast = torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16)

    def loss_value() -> Tensor:
        torch.manual_seed(0)  # of dropout
        with torch.no_grad(), cast:
            return model.parse_losses(model(images, samples, mode='loss'))[0]

    whole = {
        'training step': training_step(model, images, samples, cast),
        'inference': inference(model, images, cast),
    }
    parts = dict(of_parts(model.train(), images, samples, cast))
    return {**whole, **parts, 'loss value': loss_value}


def training_step(model: BaseModel, images: Tensor, samples: list, cast: torch.autocast) -> Run:
    # The weights stay as they are, so that every call is the same.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def step() -> None:
        model.train()
        with cast:
            loss = model.parse_losses(model(images, samples, mode='loss'))[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(model: BaseModel, images: Tensor, cast: torch.autocast) -> Run:
    metas = [dict(img_shape=images.shape[2:])] * len(images)

    def run() -> Tensor:
        model.eval()
        with torch.no_grad(), cast:
            return model.encode_decode(images, metas)

    return run


def of_parts(
    model: BaseModel, images: Tensor, samples: list, cast: torch.autocast
) -> Iterator[tuple[str, Run]]:
    head = model.decode_head
    with torch.no_grad(), cast:
        features = model.backbone(images)
        logits = head(features).requires_grad_()
    feature = features[head.in_index].detach().requires_grad_()

    def backbone() -> Tensor:
        return model.backbone(images)[head.in_index]

    def loss() -> Tensor:
        return head.loss_by_feat(logits, samples)['loss_bal']

    yield 'backbone', both_ways(backbone, cast, *model.backbone.parameters())
    yield 'PAC', both_ways(lambda: head.pac(feature), cast, feature, *head.pac.parameters())
    yield 'loss', both_ways(loss, cast, logits)


def both_ways(forward: Run, cast: torch.autocast, *leaves: Tensor) -> Run:
    """Forward and backward, to the leaves."""

    def run() -> tuple:
        with cast:
            out = forward()
        return torch.autograd.grad(out, leaves, torch.ones_like(out), allow_unused=True)

    return run


def table(record: dict) -> str:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in record['results']:
        what = f'{row["config"]}, {row["batch"]:.0f} of {row["crop"]:.0f} pixels a side'
        found.setdefault((what, row['part']), {})[row['form']] = row['p50']
    rows = []
    for where, seconds in found.items():
        best = min(seconds[form] for form in seconds if form.startswith('bfloat16'))
        usual = min(seconds[form] for form in seconds if form.startswith('float32'))
        times = [f'{1e3 * seconds[form]:.1f} ms' for form in FORMS]
        rows.append([*where, *times, f'{usual / best:.2f}'])
    head = ['config', 'part', *FORMS, 'best float32 / best bfloat16']
    return to_markdown(head, rows, left=2) + source(record)


if __name__ == '__main__':
    main(__file__, __doc__, measure, table, threads=1, crop=129, device='cpu')
