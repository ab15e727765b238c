# MMSegmentation's DeepLabV3 recipe for VOC 2012 + SBD, run by the parts of this package. The parts
# named here are used by any script that runs the config (docs/robustness.md explains each of them).
_base_ = 'mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py'
custom_imports = dict(imports=['mmseg_pacbal'], allow_failed_imports=False)

runner_type = 'CheckedRunner'
train_cfg = dict(type='ResumableTrainLoop')
train_dataloader = dict(sampler=dict(type='SeededSampler'))
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook'),
    logger=dict(type='MainProcessLoggerHook'),
    curves=dict(type='CurvesHook'),
    preemption=dict(type='PreemptionHook'),
)
