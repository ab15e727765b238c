"""ONNX export as users run it: a graph of any size that agrees with PyTorch."""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from mmseg_pacbal.apps import export_onnx
from mmseg_pacbal.datasets.synthetic_scene import CLASSES, PALETTE
from mmseg_pacbal.openmmlab.completion import load_complete_config
from tests.running import DEMO, ROOT, call_tool, mistake
from tests.visualization.tiny import write_checkpoint, write_config

for name in ('onnx', 'onnxscript', 'onnxruntime'):
    pytest.importorskip(name, reason='ONNX export needs mmseg-pacbal[onnx]')

IMAGE = ROOT.parent / 'shared/data/voc_sample/VOCdevkit/VOC2012/JPEGImages/2011_000003.jpg'


@pytest.fixture(scope='module', params=['sum', pytest.param('concat', marks=pytest.mark.slow)])
def config_and_checkpoint(request, tmp_path_factory) -> tuple[Path, Path]:
    """PACHead on a narrow ResNet-18 whose norms are far from the identity."""
    folder = tmp_path_factory.mktemp('model')
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict({'model.decode_head.merge': request.param})
    cfg.dump(folder / 'config.py')
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(std=0.2)
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
    return folder / 'config.py', folder / 'model.pth'


@pytest.fixture(scope='module')
def exported(config_and_checkpoint) -> Path:
    """The graph, which the tool has compared with PyTorch."""
    image = ['--image', IMAGE] if IMAGE.is_file() else []
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        call_tool('export_onnx', *config_and_checkpoint, *image)
    assert printed.getvalue().count('logits differ by') == 2
    phases = (
        'loading PyTorch',
        'loading ',
        'running it in PyTorch',
        'tracing and ',
        'comparing it in onnxruntime',
    )
    lines = [line for line in said.getvalue().splitlines() if line.endswith(' ...')]
    assert [*map(str.startswith, lines, phases)] == [True] * 5
    return config_and_checkpoint[1].with_suffix('.onnx')


def test_export_agrees_with_pytorch_at_any_size(exported):
    import onnx
    import onnxruntime

    operators = {node.op_type for node in onnx.load(exported).graph.node}
    assert 'BatchNormalization' not in operators
    session = onnxruntime.InferenceSession(exported)
    assert session.get_inputs()[0].shape == ['batch', 3, 'height', 'width']
    about = session.get_modelmeta().custom_metadata_map
    about = {name: json.loads(about[name]) for name in ('classes', 'palette', 'threshold')}
    assert about == dict(classes=[*CLASSES], palette=[*map(list, PALETTE)], threshold=None)
    for shape in ((1, 3, 64, 64), (3, 3, 65, 131), (2, 3, 200, 33)):
        (logits,) = session.run(None, {'image': np.zeros(shape, np.float32)})
        assert logits.shape == (shape[0], 7, *shape[2:])


@pytest.mark.skipif(
    os.environ.get('ONEDNN_MAX_CPU_ISA') == 'SSE41',
    reason="OpenVINO 2026.4.1 obeys oneDNN's variable, and cannot resize with SSE4.1 alone",
)
def test_openvino_agrees_with_onnxruntime_at_any_size(exported):
    openvino = pytest.importorskip('openvino', reason='needs mmseg-pacbal[openvino]')
    import onnxruntime

    session = onnxruntime.InferenceSession(exported)
    # Without the hint it computes in bfloat16 where the CPU can.
    options = dict(INFERENCE_PRECISION_HINT='f32')
    compiled = openvino.Core().compile_model(str(exported), 'CPU', options)
    for shape in ((1, 3, 64, 64), (3, 3, 65, 131), (2, 3, 200, 33)):
        image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
        (expected,) = session.run(None, {'image': image})
        np.testing.assert_allclose(compiled(image)[0], expected, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_options_choose_the_form(config_and_checkpoint, tmp_path):
    """128 channels at five rates: convolutions are faster in onnxruntime, and not in ncnn."""
    import onnx

    def widest(*options: str) -> int:
        out = tmp_path / f'{len(options)}.onnx'
        call_tool('export_onnx', *config_and_checkpoint, '--out', out, *options)
        found = (a for node in onnx.load(out).graph.node for a in node.attribute)
        return max(max(a.ints) for a in found if a.name == 'dilations')

    assert widest() == 9  # the largest rate
    assert widest('--runtime', 'ncnn') < 9
    assert widest('--runtime', 'ncnn', '--int8') == 9


class NormAct(torch.nn.BatchNorm2d):
    """Like timm's norms, it ends in an activation."""

    act = torch.nn.Hardtanh(-0.1, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(super().forward(x))


def test_activations_inside_norms_stay(config_and_checkpoint):
    config, checkpoint = config_and_checkpoint
    model = export_onnx.load_model(load_complete_config(str(config)), str(checkpoint))
    image = 255 * torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    without = export_onnx.predicted(model, image)
    norms = [m for m in model.model.backbone.modules() if type(m) is torch.nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = NormAct
    expected = export_onnx.predicted(model, image)
    assert not torch.allclose(expected, without, atol=0.1)
    model.prepare('onnxruntime')
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(export_onnx.predicted(model, image), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (['--image', 'none.jpg'], 'image none.jpg is missing'),
        (
            ['--cfg-options', 'model.test_cfg.mode=slide', 'model.test_cfg.crop_size=32,32'],
            "model.test_cfg.mode is 'slide', but a graph takes the image whole;",
        ),
        (
            ['--cfg-options', 'model.data_preprocessor.test_cfg.size=64,64'],
            'model.data_preprocessor.test_cfg.size pads images to one size, but a graph takes any',
        ),
    ],
)
def test_what_a_graph_cannot_do_is_refused(options, sentence, tiny, capsys, tmp_path):
    out = ('--out', tmp_path / 'm.onnx')
    assert mistake(capsys, 'export_onnx', *tiny, *out, *options).startswith(sentence)
    assert not (tmp_path / 'm.onnx').exists()


@pytest.mark.slow
def test_model_that_needs_multiples_of_a_number(capsys, tmp_path):
    """A U-Net takes multiples of 4 here: the graph pads, as MMSegmentation does."""
    import onnxruntime

    config = write_config(tmp_path)
    cfg = Config.fromfile(config)
    stages = dict(num_stages=3, strides=(1,) * 3, downsamples=(True, True), enc_num_convs=(1,) * 3)
    stages |= dict(dec_num_convs=(1, 1), enc_dilations=(1,) * 3, dec_dilations=(1, 1))
    cfg.model.backbone = dict(type='UNet', base_channels=4, norm_cfg=dict(type='BN'), **stages)
    cfg.model.update(pretrained=None, auxiliary_head=None)
    cfg.model.decode_head.update(in_channels=4, in_index=2, channels=8)
    cfg.dump(config)
    files = config, write_checkpoint(config)
    sentence = mistake(capsys, 'export_onnx', *files)
    assert sentence.startswith('the model takes no image of 500x375 pixels')
    call_tool(
        'export_onnx', *files, '--cfg-options', 'model.data_preprocessor.test_cfg.size_divisor=4'
    )
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx')
    (logits,) = session.run(None, {'image': np.zeros((1, 3, 65, 131), np.float32)})
    assert logits.shape == (1, 7, 65, 131)
    assert session.get_outputs()[0].shape == ['batch', 7, 'height', 'width']
