"""Half precision trains as float32 does, and one seed trains one model."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from torch import Tensor

from tests.conftest import DATA
from tests.running import DEMO, ROOT, run_tool, small

pytestmark = pytest.mark.slow


def load_samples(count: int) -> list[dict]:
    """Evenly spaced images of CamVid's training split, 80 x 60."""
    init_default_scope('mmseg')
    dataset = DATASETS.build(
        dict(
            type='CamVidDataset',
            data_root=str(DATA / 'camvid'),
            data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='Resize', scale=(80, 60), keep_ratio=False),
                dict(type='PackSegInputs'),
            ],
        )
    )
    return [dataset[index] for index in range(0, len(dataset), len(dataset) // count)][:count]


def build_model() -> torch.nn.Module:
    """The main job's model, PAC and BAL, a fourth as wide as the CPU's config has it."""
    cfg = Config.fromfile(ROOT / 'configs' / 'pac_bal_camvid_mini.py')
    norm_cfg = dict(type='BN', momentum=0.1)
    cfg.model.backbone.update(stem_channels=4, base_channels=4, norm_cfg=norm_cfg)
    cfg.model.decode_head.update(in_channels=32, channels=8, norm_cfg=norm_cfg)
    cfg.model.data_preprocessor.size = (60, 80)
    return MODELS.build(cfg.model)


def train(samples: list[dict], dtype: torch.dtype, seed: int, iterations: int = 200) -> list[float]:
    """The loss of every iteration; half precision under autocast, float16 with a scaled loss."""
    torch.manual_seed(seed)
    model = build_model()
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler('cpu', enabled=dtype == torch.float16)
    losses = []
    for _ in range(iterations):
        batch = [samples[index] for index in torch.randint(len(samples), (2,))]
        data = model.data_preprocessor(pseudo_collate(batch), training=True)
        with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


def end(losses: list[float]) -> float:
    """Where a run ends: the mean loss of its last 50 iterations, 100 of its images."""
    return sum(losses[-50:]) / 50


@pytest.fixture(scope='module')
def samples() -> list[dict]:
    if not (DATA / 'camvid').is_dir():
        pytest.skip('CamVid is not beside this checkout')
    return load_samples(64)


@pytest.fixture(scope='module')
def ends_in_float32(samples) -> Tensor:
    """Of four seeds, which draw the weights and the batches: their spread is the noise."""
    runs = [train(samples, torch.float32, seed) for seed in range(4)]
    assert all(end(losses) < 0.6 * losses[0] for losses in runs)
    return torch.tensor([end(losses) for losses in runs])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_autocast_ends_within_the_noise_of_float32(dtype, samples, ends_in_float32):
    losses = train(samples, dtype, seed=0)
    assert torch.tensor(losses).isfinite().all()
    # Where a fifth run would end, in 95 of 100 cases; 3.18 is Student's t for four runs.
    n = len(ends_in_float32)
    noise = 3.18 * ends_in_float32.std() * (1 + 1 / n) ** 0.5
    assert abs(end(losses) - ends_in_float32.mean()) <= noise


@pytest.mark.parametrize('head', ['PACHead', 'LeanHead'])
def test_deterministic_runs_are_bit_equal(head, demo_data, tmp_path):
    """Two processes, one after the other, on the same seed."""
    options = ['max_iters=6', 'randomness.seed=0', 'randomness.deterministic=True']
    options += ['val_dataloader.dataset.indices=1', f'model.decode_head.type={head}']
    if head == 'LeanHead':
        options.append('model.decode_head.head=PACHead')
    states = []
    for name in ('first', 'second'):
        work_dir = tmp_path / name
        result = run_tool('train', DEMO, '--work-dir', work_dir, *small(demo_data, *options))
        assert result.returncode == 0, result.stderr
        states.append(torch.load(work_dir / 'iter_6.pth', weights_only=True)['state_dict'])
    torch.testing.assert_close(*states, rtol=0, atol=0)
