#!/usr/bin/env bash
# mmengine's CheckpointHook removes the best checkpoint of another run.
#
# Versions:  mmengine 0.10.7, torch 2.13.0 (CPU), numpy 2.4.6, setuptools 80.9.0
# Input:     a run in folder A with save_best; then a run in folder B that resumes from a checkpoint of A
#            (load_from=A/iter_2.pth, resume=True) and reaches a better score
# Expected:  B writes its best checkpoint into B; the files of A stay
# Seen:      A/best_score_iter_2.pth is gone: the checkpoint keeps its absolute path, and the first better score
#            removes whatever is there. The same follows from copying a work dir before going on
# Matters:   the best weights of the first run are lost, without a message
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mmengine==0.10.7 torch==2.13.0 numpy==2.4.6 setuptools==80.9.0
cd "$folder"
cat > run.py <<'PYTHON'
import functools
import sys

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

torch.load = functools.partial(torch.load, weights_only=False)  # mmengine 0.10.7 asks for no more
work_dir, load_from, last, score = sys.argv[1], sys.argv[2] or None, int(sys.argv[3]), float(sys.argv[4])


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.layer(torch.stack(inputs)).sum()) if mode == 'loss' else [inputs]


class Score(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(score=score)


data = dict(dataset=[dict(inputs=torch.ones(1))] * 4, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
Runner(
    model=Model(),
    work_dir=work_dir,
    train_dataloader=data,
    val_dataloader=data,
    val_evaluator=[Score()],
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=last, val_interval=2),
    val_cfg=dict(),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    default_hooks=dict(
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2, save_best='score', rule='greater')
    ),
    load_from=load_from,
    resume=load_from is not None,
    log_level='ERROR',
).train()
PYTHON
venv/bin/python run.py A '' 2 0.5 > log 2>&1 || { cat log; exit 1; }
ls A/*.pth
[ -f A/best_score_iter_2.pth ]
venv/bin/python run.py B A/iter_2.pth 4 0.9 > log 2>&1 || { cat log; exit 1; }
ls A/*.pth B/*.pth
[ -f B/best_score_iter_4.pth ]
[ ! -e A/best_score_iter_2.pth ]
