#!/usr/bin/env bash
# mmengine's Config.merge_from_dict takes _delete_ out of the caller's dictionary, so that its second use merges.
#
# Versions:  mmengine-lite 0.10.7 (the same configs as mmengine, without torch), numpy 2.4.6
# Input:     overrides = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1)), merged into two equal configs whose
#            optimizer is AdamW with betas
# Expected:  the same result twice, and overrides as before: the code says that dictionaries are merged "non-inplace"
# Seen:      the first config has SGD with lr alone; the second has SGD with AdamW's betas; _delete_ is gone from overrides
# Matters:   of several runs that share overrides (folds, seeds, a search) all but the first train with leftovers of the
#            base config, or stop at an argument that SGD does not know
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mmengine-lite==0.10.7 numpy==2.4.6 yapf==0.43.0 packaging==26.3
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from mmengine.config import Config

overrides = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))
seen = []
for _ in range(2):
    config = Config(dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99))))
    config.merge_from_dict(overrides)
    seen.append(config.optimizer.to_dict())
print('first:', seen[0], 'second:', seen[1], 'overrides:', overrides)
assert seen[0] == overrides['optimizer'] == dict(type='SGD', lr=0.1)
assert seen[1] == dict(type='SGD', lr=0.1, betas=(0.9, 0.99))
PYTHON
