# The head of "ResNet + PAC" with the best row of Table 2, in place of another: what depends on the
# backbone and the data set (in_channels, channels, num_classes, norm_cfg) is the config's own.
pac = dict(
    type='PACHead',
    in_index=3,
    rates=(1, 3, 5, 7, 9),
    dropout_ratio=0.1,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
)
