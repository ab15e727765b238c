# The head of "ResNet + PAC" with the best row of Table 2. A config adds what depends on backbone
# and data set: in_channels, channels, num_classes, norm_cfg.
pac = dict(
    type='PACHead',
    in_index=3,
    rates=(1, 3, 5, 7, 9),
    dropout_ratio=0.1,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
)
