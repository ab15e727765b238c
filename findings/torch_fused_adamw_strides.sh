#!/usr/bin/env bash
# torch's fused AdamW pairs parameter and state by their place in memory, whatever their strides.
#
# Versions:  torch 2.13.0 (CPU), numpy 2.4.6
# Input:     a filter (6, 4, 3, 3) whose exp_avg, loaded by load_state_dict, has the same values in channels_last, as a
#            checkpoint of a model in channels_last leaves it; one step, once with fused=False and once with fused=True
# Expected:  the same step up to rounding, or an error
# Seen:      fused=False is right; with fused=True weights are off by up to 0.06, where the largest step is 0.05: element i
#            of the parameter's memory is updated with element i of the state's memory
# Matters:   a run that is resumed with another memory format, or with a layer whose layout changed, goes on with
#            momentum of other weights, without a message
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch


def stepped(fused, channels_last):
    generator = torch.Generator().manual_seed(0)
    weight, grad, average = (torch.randn(6, 4, 3, 3, generator=generator) for _ in range(3))
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = torch.optim.AdamW([parameter], lr=0.1, fused=fused)
    if channels_last:
        average = average.contiguous(memory_format=torch.channels_last)
    state = optimizer.state_dict()
    state['state'] = {0: dict(step=torch.tensor(10.0), exp_avg=average, exp_avg_sq=torch.ones(6, 4, 3, 3))}
    optimizer.load_state_dict(state)
    parameter.grad = grad
    optimizer.step()
    return parameter.detach(), weight


right, before = stepped(False, False)
for fused in (False, True):
    for channels_last in (False, True):
        off = (stepped(fused, channels_last)[0] - right).abs().max().item()
        print(f'fused={fused} channels_last={channels_last}: off by {off:.2g}')
        assert (off > 0.01) == (fused and channels_last), off
print('largest step:', (right - before).abs().max().item())
PYTHON
