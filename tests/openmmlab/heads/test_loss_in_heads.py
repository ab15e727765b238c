"""BoundaryAwareLoss in other models: MMSegmentation's own configs, only the loss replaced."""

from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_pacbal import BoundaryAwareLoss
from mmseg_pacbal.openmmlab.checkpoint_checks import check_checkpoint, load_weights

CONFIGS = Path(mmseg.__file__).parent / '.mim' / 'configs'
VOC = '4xb4-40k_voc12aug-512x512.py'
MODELS_OF_MMSEG = {
    'DeepLabV3': f'deeplabv3/deeplabv3_r50-d8_{VOC}',
    'DeepLabV3+': f'deeplabv3plus/deeplabv3plus_r50-d8_{VOC}',
    'PSPNet': f'pspnet/pspnet_r50-d8_{VOC}',
    'UPerNet': f'upernet/upernet_r50_{VOC}',
    'FCN': f'fcn/fcn_r50-d8_{VOC}',
    'SegFormer': 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'OCRNet': f'ocrnet/ocrnet_hr18_{VOC}',
}
LOSS = dict(type='BoundaryAwareLoss', kernel_size=15)
CROP = 64


def small_model(name: str, lean: bool = False) -> nn.Module:
    """A model of MMSegmentation, narrow and shallow, in which every loss is ours."""
    cfg = Config.fromfile(CONFIGS / MODELS_OF_MMSEG[name]).model
    cfg.pretrained = None
    cfg.data_preprocessor.size = (CROP, CROP)
    shrink_backbone(cfg.backbone)
    divisor = dict(ResNetV1c=16, MixVisionTransformer=4, HRNet=1)[cfg.backbone.type]
    for head in heads(cfg):
        for key in ('in_channels', 'c1_in_channels', 'channels', 'ocr_channels', 'c1_channels'):
            if key in head:
                head[key] = divided(head[key], divisor)
        head.loss_decode = LOSS
        if lean:
            head.head, head.type = head.type, 'LeanHead'
    for node in (cfg.backbone, *heads(cfg)):
        node.norm_cfg = dict(type='BN', requires_grad=True)
    if cfg.backbone.type == 'MixVisionTransformer':
        del cfg.backbone.norm_cfg
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(cfg)


def shrink_backbone(backbone) -> None:
    backbone.pop('init_cfg', None)
    if backbone.type == 'ResNetV1c':
        backbone.update(depth=18, stem_channels=16, base_channels=16)
    elif backbone.type == 'MixVisionTransformer':
        backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
    else:
        for stage in backbone.extra.values():
            stage.update(num_modules=1, num_blocks=[1] * len(stage.num_blocks))


def heads(cfg) -> list:
    nodes = [cfg.decode_head, cfg.get('auxiliary_head')]
    return [h for node in nodes if node for h in (node if isinstance(node, list) else [node])]


def divided(channels: int | list[int], divisor: int) -> int | list[int]:
    if isinstance(channels, list):
        return [c // divisor for c in channels]
    return max(channels // divisor, 1)


@pytest.fixture
def batch(voc_labels, make_samples) -> dict:
    label = torch.stack([label[40 : 40 + CROP, 40 : 40 + CROP] for label in voc_labels[:2]])
    label[:, :4] = torch.arange(CROP) // 16  # some boundaries in any case
    images = torch.randint(256, (2, 3, CROP, CROP), generator=torch.Generator().manual_seed(0))
    samples = make_samples(label.long())
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(CROP, CROP), ori_shape=(CROP, CROP)))
    return dict(inputs=list(images.byte()), data_samples=samples)


def losses_of(model: nn.Module, batch: dict) -> dict[str, Tensor]:
    torch.manual_seed(0)  # dropout
    data = model.data_preprocessor(batch, training=True)
    return model.loss(data['inputs'], data['data_samples'])


@pytest.mark.parametrize('name', MODELS_OF_MMSEG)
def test_one_training_step_and_the_same_losses_strip_by_strip(name, batch):
    model = small_model(name).train()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    losses = losses_of(model, batch)
    ours = {key: value for key, value in losses.items() if key.endswith('loss_bal')}
    assert len(ours) == sum(isinstance(m, BoundaryAwareLoss) for m in model.modules()) > 0
    assert all(value.isfinite() and value > 0 for value in ours.values())

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model.parse_losses(losses)[0].backward()
    parts = dict(backbone=model.backbone, head=model.decode_head)
    for part, module in parts.items():
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        assert sum(g.abs().sum() for g in gradients) > 0, part
        assert all(g.isfinite().all() for g in gradients), part
    optimizer.step()
    changed = [not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True)]
    assert sum(changed) > len(changed) / 2

    model = small_model(name, lean=True).train()
    lean = losses_of(model, batch)
    assert list(lean) == list(losses)
    torch.testing.assert_close(lean, losses, rtol=1e-5, atol=1e-6)
    head = model.decode_head
    if not isinstance(head, nn.ModuleList):  # under autocast the loss is computed in float32
        logits = torch.randn(2, head.num_classes, 16, 16).bfloat16()
        with torch.autocast('cpu', torch.bfloat16):
            actual = head.loss_by_feat(logits, batch['data_samples'])['loss_bal']
        expected = head.loss_by_feat(logits.float(), batch['data_samples'])['loss_bal']
        assert torch.equal(actual, expected)


@pytest.mark.parametrize(('saved', 'loaded'), [('mean', 'running'), ('running', 'mean')])
def test_checkpoints_of_a_training_with_another_normalize(saved, loaded, tmp_path):
    models = {}
    for normalize in (saved, loaded):
        head = dict(type='FCNHead', in_channels=4, channels=4, num_classes=3)
        loss = BoundaryAwareLoss(normalize=normalize)
        models[normalize] = nn.ModuleDict(dict(decode_head=MODELS.build(head)))
        models[normalize].decode_head.loss_decode = loss
        if loss.running:
            loss.running.sums += 7
    meta = dict(meta={}, optimizer={}, message_hub={})
    for name in (saved, loaded):
        torch.save(dict(state_dict=models[name].state_dict(), **meta), tmp_path / f'{name}.pth')
    check_checkpoint(models[loaded], tmp_path / f'{saved}.pth', resume=True)
    load_weights(models[loaded], tmp_path / f'{saved}.pth')
    load_checkpoint(models[loaded], str(tmp_path / f'{saved}.pth'))  # mmengine's
    assert torch.equal(*(m.decode_head.conv_seg.weight for m in models.values()))
    models['running'].decode_head.loss_decode.running.sums.zero_()
    load_weights(models['running'], tmp_path / 'running.pth')
    assert models['running'].decode_head.loss_decode.running.sums.tolist() == [7, 7]


@pytest.mark.parametrize('lean', [False, True])
@pytest.mark.parametrize(
    'options', [dict(), dict(normalize='mean', class_weight=[1.0] * 21, avg_non_ignore=True)]
)
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU: nothing can wait for one')
def test_the_host_never_waits_for_the_gpu(options, lean):
    from mmseg_pacbal.ops.lean_cross_entropy import lean_cross_entropy

    loss = BoundaryAwareLoss(**options).cuda()
    label = torch.randint(21, (2, 64, 64)).cuda()
    logits = torch.randn(2, 21, 16 if lean else 64, 16 if lean else 64).cuda().requires_grad_()

    def step() -> None:
        if lean:
            value, _ = lean_cross_entropy(logits, label, loss.weight_map(label))
        else:
            value = loss(logits, label)
        value.backward()

    step()  # what is loaded is loaded once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU: a CPU reports at once')
def test_a_wrong_label_on_the_gpu_is_reported_at_once_or_within_64_steps():
    logits = torch.randn(1, 3, 8, 8).cuda()
    wrong = torch.full((1, 8, 8), 7).cuda()
    with pytest.raises(ValueError, match='label holds 7'):  # the first step waits for the GPU
        BoundaryAwareLoss().cuda()(logits, wrong)
    loss = BoundaryAwareLoss().cuda()
    loss(logits, torch.zeros_like(wrong))
    assert loss(logits, wrong) == 0  # counted as void
    with pytest.raises(ValueError, match='label holds 7'):
        for _ in range(64):
            loss(logits, torch.zeros_like(wrong))
