# PAC + BAL on your own data with a model of timm as its backbone (docs/data.md), from random
# weights; model.backbone.pretrained=True downloads timm's weights.
_base_ = './pac_bal_folder.py'

model = dict(
    backbone=dict(
        _delete_=True,  # ResNet's arguments
        type='TIMMBackbone',
        model_name='resnet50',
        features_only=True,
        pretrained=False,
        output_stride=16,
    ),
    decode_head=dict(in_index=-1, in_channels=None),  # as many as that feature of the model has
)
