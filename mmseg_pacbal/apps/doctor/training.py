"""What training needs: precision, compilation, norms, labels, checkpoints, the demo's model."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from ...configs import config, load_config
from ...layers import PyramidAtrousConv
from ...losses import BoundaryAwareLoss
from ...openmmlab.engine import build_runner, resume_from
from ...openmmlab.engine.runner import compiler_problem
from ...openmmlab.inference import init_inferencer
from .examination import Check, Skip
from .ops import CLASSES, EPS, blocks, compare

ITERATIONS = 4


def small_problem(device: torch.device) -> tuple[nn.Sequential, Tensor, Tensor]:
    """PAC and a classifier, images in which every class has a different colour, their label."""
    torch.manual_seed(0)
    pac = PyramidAtrousConv(32, 16, norm=nn.BatchNorm2d)
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), pac, nn.Conv2d(16, CLASSES, 1))
    shades = torch.linspace(-1, 1, 256)[blocks()] * 40  # of values 0..255
    images = torch.stack([shades, shades.sin(), shades.cos()], dim=1)
    return model.to(device), images.to(device), blocks().to(device)


def check_autocast(device: torch.device) -> str:
    """Six steps under autocast: the loss is float32 and falls."""
    dtypes = [torch.bfloat16, torch.float16][: 2 if device.type == 'cuda' else 1]
    for dtype in dtypes:
        model, images, label = small_problem(device)
        loss = BoundaryAwareLoss(normalize='mean').to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        values = []
        for _ in range(6):
            with torch.autocast(device.type, dtype):
                logits = model(images)
                value = loss(logits, label)
            if logits.dtype != dtype or value.dtype != torch.float32:
                raise ArithmeticError(f'logits are {logits.dtype} and the loss {value.dtype}')
            optimizer.zero_grad()
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
            values.append(float(value.detach()))
        if not values[-1] < values[0]:
            raise ArithmeticError(
                f'{dtype}: in six steps the loss went from {values[0]} to {values[-1]}'
            )
    names = ', '.join(str(dtype).removeprefix('torch.') for dtype in dtypes)
    return f'{names}; loss in float32, with loss scaling where it is float16'


def check_compile(device: torch.device) -> str:
    """Loss and gradients of a compiled step, in which logits are enlarged, against the plain one.

    In float64: what a GPU computes in TF32, one of the two may compute in float32. Network, size
    and the loss within the step show findings/torch_compile_zero_gradients.sh.
    """
    if problem := compiler_problem(device.type):
        raise Skip(f'compile=True {problem}')  # which our runner refuses
    model, images, label = small_problem(device)
    label, images = label[:, :48, :48], images[..., :48:4, :48:4].double()
    network = nn.Sequential(model, nn.Upsample(label.shape[1:], mode='bilinear')).double()
    loss = BoundaryAwareLoss().to(device)

    def forward(images: Tensor) -> Tensor:
        return loss(network(images), label)

    def step(forward: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        value = forward(images)
        return value.detach(), *torch.autograd.grad(value, [*network.parameters()])

    try:
        compiled = step(torch.compile(forward))
    except Exception as error:
        missing = [name for name in ('InvalidCxxCompiler', 'TritonMissing') if name in repr(error)]
        if missing:
            raise Skip(f'torch.compile finds no compiler here ({missing[0]})') from error
        raise
    names = 'the loss', *(f'the gradient of {name}' for name, _ in network.named_parameters())
    # The compiler may reorder sums, some of which cancel, and weights are float32: by half of the
    # digits of that, rounding makes nothing differ.
    bound = EPS**0.5
    for name, ours, exact in zip(names, compiled, step(forward), strict=True):
        compare(f'compiled, {name}', ours, exact, bound)
    return 'loss and gradients'


def check_norm(device: torch.device) -> str:
    """The norm of the configs, SyncBN, in a single process."""
    norm = nn.SyncBatchNorm(8)
    model = revert_sync_batchnorm(nn.Sequential(norm)) if device.type == 'cpu' else norm
    out = model.to(device)(torch.randn(4, 8, 9, 9, device=device))
    if not out.mean().abs() < 1e-3:
        raise ArithmeticError(f'the mean after the norm is {float(out.mean())}')
    return 'SyncBN becomes BN here' if device.type == 'cpu' else 'SyncBN'


def check_label(device: torch.device) -> str:
    """A wrong label is reported: at once in the first step, within 64 steps in a later one."""
    logits = torch.zeros(1, CLASSES, 4, 4, device=device)
    good = torch.zeros(1, 4, 4, dtype=torch.long, device=device)
    wrong = good.clone()
    wrong[0, 0, 0] = CLASSES
    for before in ([], [good]):
        loss = BoundaryAwareLoss().to(device)
        late = -len(before) - 1
        try:
            for label in [*before, wrong, *[good] * 64]:
                late += 1
                loss(logits, label)
        except ValueError as error:
            if f'label holds {CLASSES}' not in str(error):
                raise
        else:
            raise AssertionError('a label that is not a class was not found in 65 steps')
    return f'found after {late} more steps' if late else 'found at once'


def check_pinned_memory(device: torch.device) -> str:
    if device.type == 'cpu':
        raise Skip('only copies to a GPU use pinned memory')
    label = blocks().pin_memory()
    if not torch.equal(label.to(device, non_blocking=True).cpu(), label):
        raise ArithmeticError('a label differs after it was copied from pinned memory')
    return 'a label is the same after a copy to the GPU and back'


# One folder for all checks of a process; it is removed when the process ends.
_FOLDER = tempfile.TemporaryDirectory(prefix='mmseg_pacbal_doctor_')


def train(name: str, checkpoint: Path | None = None) -> Config:
    """Train pac_bal_demo for a few iterations on generated data, in a work dir of that name."""
    folder = Path(_FOLDER.name)
    options = {
        'data_root': str(folder / 'VOC2012'),
        'crop_size': (64, 64),
        'max_iters': ITERATIONS,
        'train_cfg.val_interval': ITERATIONS,
        'default_hooks.checkpoint.interval': ITERATIONS // 2,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'default_hooks.logger.interval': 1,
        'val_dataloader.dataset.indices': 2,
        'test_dataloader.dataset.indices': 2,
        'log_level': 'ERROR',
    }
    cfg = load_config(config('pac_bal_demo.py'), options)
    cfg.work_dir = str(folder / name)
    runner = build_runner(cfg)
    if checkpoint:
        resume_from(runner, checkpoint)
    runner.train()
    return cfg


@cache
def demo() -> Config:
    """The config of an uninterrupted run; its work dir has the checkpoints."""
    return train('unbroken')


def _only_on_the_device_of_training(device: torch.device) -> None:
    if torch.device(get_device()).type != device.type or device.index:
        raise Skip(f'training uses {get_device()} here')


def check_demo(device: torch.device) -> str:
    """Train the demo's model and predict an image with it."""
    _only_on_the_device_of_training(device)
    cfg = demo()
    checkpoint = Path(cfg.work_dir, f'iter_{ITERATIONS}.pth')
    inferencer = init_inferencer(cfg, checkpoint, device=str(device))
    image = next(Path(cfg.data_root, 'JPEGImages').glob('*.jpg'))
    predicted = inferencer(str(image))['predictions']
    if predicted.min() < 0 or predicted.max() >= 7:
        raise ArithmeticError(
            f'predicted classes are {predicted.min()} to {predicted.max()}, but there are 0 to 6'
        )
    return f'{ITERATIONS} iterations, a validation and a prediction of {predicted.shape}'


def check_resume(device: torch.device) -> str:
    """A run that is resumed halfway ends with the same weights as an uninterrupted one."""
    _only_on_the_device_of_training(device)
    unbroken = Path(demo().work_dir)
    resumed = Path(train('resumed', unbroken / f'iter_{ITERATIONS // 2}.pth').work_dir)
    first, second = (
        torch.load(path / f'iter_{ITERATIONS}.pth', map_location='cpu', weights_only=True)
        for path in (unbroken, resumed)
    )
    first, second = first['state_dict'], second['state_dict']
    differing = [name for name, value in first.items() if not torch.equal(value, second[name])]
    if differing and device.type == 'cpu':
        raise ArithmeticError(
            f'{len(differing)} of {len(first)} tensors differ, {differing[0]} first'
        )
    if not all(value.isfinite().all() for value in second.values()):
        raise ArithmeticError('the resumed run ends with weights that are not finite')
    if differing:
        return 'resumed; equal bits need --cfg-options randomness.deterministic=True on a GPU'
    return 'equal to the last bit'


CHECKS = (
    Check('autocast and loss scaling', check_autocast, 'Train without --amp, and report it'),
    Check('torch.compile', check_compile, 'Do not compile the model here; training works without'),
    Check('batch norm', check_norm, "Set the type of norm_cfg to 'BN' with --cfg-options"),
    Check('label check', check_label, 'Run pacbal check CONFIG on your masks before training'),
    Check('pinned memory', check_pinned_memory, 'Give train_dataloader.pin_memory=False'),
    Check('demo', check_demo, 'Run pacbal demo --traceback to see where it fails'),
    Check('resume', check_resume, 'Do not rely on --resume here, and report it'),
)
