"""configs/metafile.yml, the index of the model zoo in MMSegmentation's form."""

import yaml

from benchmarks.model_zoo_tables import Entry, entries
from benchmarks.records import load, median

HEADING = """\
# Written by `python -m benchmarks.pages`. No weights are published, so no entry has any;
# `Results` were measured, what the paper reports is in `Metadata`.
"""
TITLE = 'Semantic Image Segmentation with Pyramid Atrous Convolution and Boundary-aware Loss'


def metafile() -> str:
    ours = [entry for entry in entries().values() if entry.is_ours]
    collection = dict(
        Name='PAC and BAL',
        License='Apache License 2.0',
        Metadata={'Training Data': sorted({entry.dataset for entry in ours})},
        Paper=dict(Title=TITLE),
        README='configs/README.md',
        Frameworks=['PyTorch'],
    )
    content = dict(Collections=[collection], Models=[model(entry) for entry in ours])
    return HEADING + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def model(entry: Entry) -> dict:
    folder = 'configs' if entry.reported_difference is None else 'configs/ablation'
    content: dict = {'Name': entry.name, 'In Collection': 'PAC and BAL'}
    if entry.measured is not None:
        miou = dict(mIoU=round(entry.measured[0], 2))
        content['Results'] = dict(Task='Semantic Segmentation', Dataset=entry.dataset, Metrics=miou)
    return {
        **content,
        'Config': f'{folder}/{entry.name}.py',
        'Metadata': metadata(entry),
        'Paper': dict(Title=TITLE),
        'Framework': 'PyTorch',
    }


def metadata(entry: Entry) -> dict:
    speed = {
        'value': round(1e3 * median(entry.network['seconds']), 1),
        'hardware': load('model_zoo')['environment']['machine'],
        'backend': 'PyTorch',
        'batch size': 1,
        'mode': 'FP32',
        'resolution': f'({entry.crop[0]},{entry.crop[1]})',
    }
    content = {
        'Training Data': entry.dataset,
        'Batch Size of a Process': entry.batch,
        'Iterations': entry.iterations,
        'Architecture': [entry.backbone, entry.head, entry.loss],
        'Parameters': entry.network['parameters'],
        'FLOPs': entry.network['flops'],
        'inference time (ms/im)': [speed],
    }
    if entry.reported is not None:
        content['mIoU reported by the paper'] = entry.reported
    if entry.reported_difference is not None:
        content['mIoU difference reported by the paper'] = entry.reported_difference
    return content
