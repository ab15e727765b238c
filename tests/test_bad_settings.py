"""Wrong settings, one by one: each error names the argument, the value and what is accepted."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_pacbal import BoundaryAwareLoss, PyramidAtrousConv
from mmseg_pacbal.ops import boundary_edges, boundary_weight_map, lean_cross_entropy
from mmseg_pacbal.ops import pyramid_atrous_conv2d as pyramid
from mmseg_pacbal.ops.boundary_weight import KERNELS
from tests.running import DEMO, ROOT, call_tool

LABEL = torch.arange(32).view(2, 4, 4) % 3
SCORE = torch.zeros(2, 3, 4, 4)
FEATURES = [torch.zeros(2, 4, 2, 2), torch.zeros(2, 4, 2, 2)]
HEAD = dict(type='PACHead', in_channels=4, channels=6, num_classes=3)


def step(type: str, **setting: object) -> None:
    """Build a head and take a step, since some settings meet their match only there."""
    head = MODELS.build({**HEAD, 'type': type, **setting})
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in LABEL]
    head.loss(FEATURES, samples, {})


def build(kind: str, **setting: object) -> None:
    """Build or call what takes settings, with one of them set."""
    match kind:
        case 'head':
            step('PACHead', **setting)
        case 'lean_head':
            step('LeanHead', **{'head': 'FCNHead', **setting})
        case 'layer':
            PyramidAtrousConv(**{'in_channels': 4, 'out_channels': 6, **setting})
        case 'loss':
            MODELS.build(dict(type='BoundaryAwareLoss', **setting))(SCORE, LABEL)
        case 'focal':
            MODELS.build(dict(type='SoftmaxFocalLoss', **setting))
        case 'border':
            MODELS.build(dict(type='BorderWeightLoss', **setting))
        case 'ohem':
            MODELS.build(dict(type='OHEMPixelLoss', **setting))
        case 'call':
            BoundaryAwareLoss()(**{'logits': SCORE, 'label': LABEL, **setting})
        case 'weight_map':
            boundary_weight_map(**{'label': LABEL, **setting})
        case 'edges':
            boundary_edges(**{'label': LABEL, **setting})
        case 'convolution':
            given = dict(x=FEATURES[0], weight=torch.zeros(6, 4, 3, 3), rates=(1, 2))
            pyramid(**{**given, **setting})
        case 'lean':
            lean_cross_entropy(**{'logits': SCORE, 'label': LABEL, **setting})


POSITIVE_INT, INTEGER, BOOL = 'a positive integer', 'an integer', 'True or False'
NUMBER = 'a finite number, 0 or more'
RATES = 'one or more integers, each 1 or more'
PER_CLASS = 'one finite number, 0 or more, for each class'
UNKNOWN = {'type': 'NoSuch'}

# what is set, argument, what is accepted, values that are not
KERNEL = str(tuple(KERNELS))
WRONG: list[tuple[str, str, str, list]] = [
    (
        'head',
        'rates',
        RATES,
        [(), None, 3, '1,3', ['1', '3'], (1, (3, 5)), (1, 2.0), (0, 1), (True,)],
    ),
    ('head', 'merge', "('sum', 'concat')", ['add', 'Sum', None, ['sum']]),
    ('head', 'backend', "('auto', 'reference', 'factorized'", ['cudnn', 'Auto', None, ['auto']]),
    ('head', 'lean_loss', 'accepted are rates, merge, backend', [True]),
    ('head', 'ratez', 'did you mean rates? accepted are rates, merge', [(1, 3)]),
    ('head', 'chanels', 'did you mean channels? accepted are rates, merge', [256]),
    ('head', 'dilations', 'did you mean rates? accepted are rates, merge, backend', [(1, 6)]),
    ('head', 'atrous_rates', 'did you mean rates?', [(1, 6)]),
    ('head', 'ignore_label', 'did you mean ignore_index?', [255]),
    ('head', 'num_channels', 'did you mean in_channels or channels?', [6]),
    ('head', 'norm', 'did you mean norm_cfg?', ['BN']),
    ('layer', 'in_channels', POSITIVE_INT, [0, -4, '4', 4.0, True, None]),
    ('layer', 'out_channels', POSITIVE_INT, [0, -6, '6', 6.0, True, None]),
    ('layer', 'rates', RATES, [(), None, 0, '1', [[1, 3]], np.array([1, 3]), (math.nan,)]),
    ('layer', 'merge', "('sum', 'concat')", ['add', None]),
    ('layer', 'norm', 'such as nn.BatchNorm2d', ['BN', {}, 3]),
    ('layer', 'activation', 'such as nn.ReLU', ['ReLU', {}, True]),
    ('layer', 'norm_cfg', 'did you mean norm? accepted are in_channels, out_channels, rates', [{}]),
    ('layer', 'act_cfg', 'did you mean activation?', [{}]),
    ('layer', 'dilation', 'did you mean rates?', [(1, 3)]),
    ('layer', 'channels', 'did you mean in_channels or out_channels?', [4]),
    ('layer', 'backend', "('auto', 'reference', 'factorized'", ['cudnn', None]),
    ('layer', 'rate', 'did you mean rates? accepted are in_channels', [(1, 3)]),
    ('loss', 'kernel', KERNEL, ['box', 'Gaussian', None, ['gaussian']]),
    ('loss', 'kernel_size', 'a positive odd integer', [0, -3, 34, 35.0, '35', True, None, [35]]),
    ('loss', 'sigma', 'a finite number above 0', [0, -1.0, math.inf, math.nan, '3', True, None]),
    ('loss', 'beta', NUMBER, [-0.5, math.inf, math.nan, '0.5', False, None]),
    ('loss', 'downsample', POSITIVE_INT, [0, -4, 4.0, '4', True, None]),
    ('loss', 'antialias', BOOL, ['no', 'False', None, 0]),
    ('loss', 'void_edges', BOOL, ['no', None, 1]),
    ('loss', 'ignore_padding', BOOL, ['no', None, 1]),
    ('loss', 'class_weight', PER_CLASS, [3, True, '12', 'none.json', [1, 'x', 1], {'road': 1}]),
    ('loss', 'class_weight', PER_CLASS, [[1.0, -1.0, 1.0], [math.nan, 1.0, 1.0], [[1.0] * 3]]),
    ('loss', 'avg_non_ignore', BOOL, ['no', None, 1]),
    ('loss', 'normalize', "(None, 'mean', 'running')", ['max', 'Mean', True, ['mean']]),
    ('loss', 'pixel_loss', "such as dict(type='SoftmaxFocalLoss')", ['Focal', {}, UNKNOWN, [], 3]),
    ('loss', 'use_sigmoid', BOOL, ['no', None, 1]),
    ('loss', 'reduction', "('none', 'mean', 'sum')", ['max', 'Mean', None, ['mean']]),
    ('loss', 'loss_weight', NUMBER, [-1.0, math.inf, math.nan, '1', True, None, [1.0]]),
    ('loss', 'loss_name', "a name such as 'loss_bal'", [None, 3, '']),
    ('loss', 'kernal_size', 'did you mean kernel_size? accepted are kernel, kernel_size', [35]),
    ('loss', 'ignore_index', INTEGER, ['255', 255.0, True]),
    ('loss', 'weight', 'did you mean loss_weight or class_weight? accepted', [[1.0, 2.0]]),
    ('loss', 'ignore', 'mean ignore_index or ignore_padding or avg_non_ignore? acc', [255]),
    ('loss', 'ignore_label', 'did you mean ignore_index? accepted are kernel', [255]),
    ('loss', 'weights', 'did you mean class_weight?', [[1.0, 2.0]]),
    ('loss', 'std', 'did you mean sigma?', [3.0]),
    ('focal', 'gamma', NUMBER, [-1, '2', math.nan, None, True]),
    ('focal', 'gama', 'did you mean gamma? accepted are gamma, class_weight', [2.0]),
    ('border', 'sigma', 'a finite number above 0', [-1]),
    ('ohem', 'keep_ratio', 'above 0 and at most 1', [0, 1.5, '0.25', math.nan, None, True]),
    ('ohem', 'keep_ration', 'did you mean keep_ratio?', [0.25]),
    (
        'lean_head',
        'head',
        "the name of a registered decode head, such as 'ASPPHead'",
        ['NoSuch', 3],
    ),
    ('lean_head', 'head', "such as 'ASPPHead'", ['ResNet']),
    ('call', 'ignore_index', INTEGER, ['255', 255.0, True]),
    ('call', 'avg_factor', 'a finite number, 0 or more', ['4', -1, math.nan]),
    ('call', 'reduction_override', "('none', 'mean', 'sum')", ['max', 3]),
    ('weight_map', 'kernel', KERNEL, ['box']),
    ('weight_map', 'kernel_size', 'a positive odd integer', [34]),
    ('weight_map', 'sigma', 'a finite number above 0', [0]),
    ('weight_map', 'beta', NUMBER, [-0.1]),
    ('weight_map', 'downsample', POSITIVE_INT, [0]),
    ('weight_map', 'antialias', BOOL, ['no']),
    ('weight_map', 'ignore_index', INTEGER, [None, '255']),
    ('edges', 'void_edges', BOOL, ['no', None]),
    ('edges', 'ignore_padding', BOOL, ['no', None]),
    ('edges', 'ignore_index', INTEGER, [None, 255.0]),
    ('convolution', 'rates', RATES, [(), (0,), 'ab', None]),
    ('convolution', 'merge', "('sum', 'concat')", ['mean']),
    ('convolution', 'backend', "('auto', 'reference', 'factorized'", ['cudnn']),
    ('lean', 'ignore_index', INTEGER, [None, '255']),
    ('lean', 'align_corners', BOOL, [None, 'no']),
    ('lean', 'strip_bytes', 'None or an integer, 1 or more', [0, -1, '4', 1.5]),
]


@pytest.mark.parametrize(
    ('kind', 'argument', 'accepted', 'value'),
    [
        pytest.param(kind, argument, accepted, value, id=f'{kind}-{argument}-{value!r}')
        for kind, argument, accepted, values in WRONG
        for value in values
    ],
)
def test_error_names_argument_value_and_what_is_accepted(kind, argument, accepted, value):
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as error:
        build(kind, **{argument: value})
    message = str(error.value)
    assert re.search(rf'\b{argument.removesuffix("_override")}\b', message)
    assert re.search(rf'(got|backend|no file) {re.escape(repr(value))}', message)
    assert accepted in message


@pytest.mark.parametrize(
    ('kind', 'argument', 'value'),
    [
        ('head', 'in_index', 0),
        ('head', 'rates', [1, 3]),
        ('head', 'rates', (np.int64(1), np.int32(3))),
        ('head', 'channels', np.int64(6)),
        ('head', 'norm_cfg', dict(type='GN', num_groups=2)),
        ('head', 'act_cfg', None),
        ('head', 'ignore_index', np.int64(255)),
        ('loss', 'kernel_size', np.int64(3)),
        ('loss', 'sigma', np.float32(2)),
        ('loss', 'beta', 1),
        ('loss', 'class_weight', np.ones(3)),
        ('loss', 'class_weight', (1, 2, 3)),
        ('call', 'avg_factor', torch.tensor([4.0])),
        ('call', 'ignore_index', -1),
    ],
    ids=repr,
)
def test_other_ways_to_say_the_same_are_accepted(kind, argument, value):
    build(kind, **{argument: value})


def test_features_to_concatenate():
    build('head', input_transform='resize_concat', in_channels=[4, 4], in_index=[0, 1])


@pytest.mark.parametrize('value', [np.zeros((2, 4, 4)), [[0]], 'mask.png', None, 3])
def test_error_names_what_is_no_tensor(value):
    tensors = dict(
        call=('label', 'logits', 'weight'),
        weight_map=('label',),
        edges=('label',),
        convolution=('x', 'weight'),
        lean=('logits', 'label', 'weight'),
    )
    for kind, argument in ((kind, name) for kind, names in tensors.items() for name in names):
        if value is None and argument == 'weight' and kind != 'convolution':
            continue  # which is no weight
        with pytest.raises(TypeError, match=f'^{argument} must be a tensor, but got ') as error:
            build(kind, **{argument: value})
        assert str(error.value).endswith(type(value).__name__)


CONFIGS = {
    'DEMO': str(DEMO),
    'VOC': str(ROOT / 'configs' / 'pac_voc.py'),
}
# tool and arguments, what was given, what is accepted
WRONG_FLAGS = [
    ('train configs/none.py', 'config configs/none.py', 'such as configs/pac_bal_demo.py'),
    ('train', 'required: config', 'usage: train.py'),
    ('train DEMO --bs 3', 'unrecognized arguments: --bs 3', '--work-dir WORK_DIR'),
    ('train DEMO --launcher gloo', "--launcher: invalid choice: 'gloo'", 'slurm'),
    ('train DEMO --local-rank x', "'x'", '--local-rank: invalid int value'),
    ('train DEMO --cfg-options crop_size=0', 'but got 0', 'crop_size must be height,width'),
    ('train DEMO --cfg-options crop_size=1,2,3', 'but got [1, 2, 3]', 'height,width in pixels'),
    ('train DEMO --cfg-options crop_size=a', "but got 'a'", 'height,width in pixels'),
    ('train VOC --cfg-options data_root=none', 'data_root none', 'data_root=...'),
    ('test DEMO', 'required: checkpoint', 'usage: test.py'),
    ('test configs/none.py a.pth', 'config configs/none.py', 'such as configs/pac_bal_demo.py'),
    ('predict DEMO a.pth . --out o --batch-size 0', 'but got 0', '--batch-size must be 1 or more'),
    ('predict DEMO a.pth . --out o --batch-size x', "'x'", '--batch-size: invalid int value'),
    ('predict DEMO a.pth none.png --out o', 'none.png', 'give an image or a folder of images'),
    ('predict DEMO a.pth . --out o', '. holds no images', 'besides the results in --out o'),
    ('predict DEMO a.pth .', 'required: --out', '--out DIR'),
    ('visualize DEMO a.pth --figure x --out o.png', "--figure: invalid choice: 'x'", "'weights'"),
    ('visualize DEMO a.pth --figure loss --out o.gif', '--out must', '.png, .jpg, .pdf'),
    ('visualize DEMO --figure loss --out o.png', '--figure loss', 'needs a checkpoint'),
    ('visualize DEMO a.pth --figure comparison --out o.png', 'comparison without', 'go together'),
    (
        'visualize DEMO a.pth --figure loss --compare DEMO a.pth --out o.png',
        'loss with',
        'go together',
    ),
    ('visualize DEMO a.pth --figure loss --names a b --out o.png', '--names', 'of --compare'),
    ('visualize DEMO --figure loss --out o.png --indices a', "'a'", '--indices: invalid int value'),
    ('analyze_errors DEMO a.pth --out o --width 0', 'got 0', 'width must be a positive integer'),
    ('analyze_errors DEMO a.pth --out o --area -1', 'got -1', 'area must be a positive integer'),
    ('analyze_errors DEMO a.pth --out o --radius 0', 'got 0', 'radius must be a positive'),
    ('analyze_errors DEMO a.pth --out o --compare x', '--compare', 'expected 2 arguments'),
    (
        'analyze_errors VOC a.pth --out o --cfg-options data_root=none',
        'data_root none',
        'data_root=...',
    ),
    ('browse_weights VOC --out o --cfg-options data_root=none', 'data_root none', 'data_root=...'),
    ('run_study table9', 'table9', 'give table1, table2, table3'),
    ('run_study table3 --rows x', "no row 'x'", 'it has deeplabv3, pac, bal, pac_bal'),
    ('run_study table3 --dataset x', 'deeplabv3_x.py', 'available are bal_camvid.py'),
    ('run_study table3 --seeds x', "'x'", '--seeds: invalid int value'),
    ('run_study table3 --report --results none', 'none holds no finished run', 'without --report'),
    ('prepare_voc --check --out none', 'none holds no VOC2012', 'give the VOCdevkit folder'),
    ('prepare_voc --voc none.tar --out none', 'none.tar', 'path of a file or an http(s) URL'),
    ('browse_weights VOC --num 0', 'but got 0', '--num must be 1 or more'),
    ('export_onnx DEMO a.pth --opset x', "'x'", '--opset: invalid int value'),
]


@pytest.mark.parametrize(('command', 'given', 'accepted'), WRONG_FLAGS, ids=lambda text: text)
def test_error_of_a_tool_names_flag_value_and_what_is_accepted(
    command, given, accepted, monkeypatch, tmp_path, capsys
):
    tool, *args = command.split()
    monkeypatch.chdir(tmp_path)
    Path('a.pth').touch()
    with pytest.raises(SystemExit) as ended:
        call_tool(tool, *(CONFIGS.get(arg, arg) for arg in args))
    message = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert 'Traceback' not in message
    assert message.count('error: ') == 1
    assert given in message
    assert accepted in message
