#!/usr/bin/env bash
# mmengine writes configs that it cannot read: an infinite value, a key that is a word of Python, a key with a quote.
#
# Versions:  mmengine-lite 0.10.7 (the same configs as mmengine, without torch), numpy 2.4.6, yapf 0.43.0
# Input:     Config(...).dump('config.py'), then Config.fromfile('config.py'), of three dictionaries: clip_grad with
#            norm_type=inf, a norm that torch.nn.utils.clip_grad_norm_ documents; a weight called "lambda"; a class called
#            "driver's door". And one with a key at the top that is not a name of Python, "dice-weight"
# Expected:  the same config again, as for other values and keys, or an error that names the value
# Seen:      the first is written as norm_type=inf, and reading says "name 'inf' is not defined"; the second and third
#            raise SyntaxError while they are written; the fourth is written and read as an empty config, without a message
# Matters:   a training writes its config into the work dir: the first runs to its end and its config cannot be opened, the
#            second and third do not begin
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mmengine-lite==0.10.7 numpy==2.4.6 yapf==0.43.0 packaging==26.3
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
from mmengine.config import Config


def outcome(content):
    """What reading gives, or the error and the step that raised it."""
    config, step = Config(content), 'dump'
    try:
        config.dump('config.py')
        step = 'fromfile'
        return Config.fromfile('config.py').to_dict()
    except (NameError, SyntaxError) as error:
        return f'{step}: {type(error).__name__}'


plain = dict(optim_wrapper=dict(clip_grad=dict(max_norm=1.0, norm_type=2.0)), classes={'my door': 1, 2: None})
assert outcome(plain) == plain
seen = {
    'inf': outcome(dict(optim_wrapper=dict(clip_grad=dict(max_norm=1.0, norm_type=float('inf'))))),
    'word': outcome(dict(loss={'lambda': 0.5})),
    'quote': outcome(dict(classes={"driver's door": 1})),
    'top': outcome({'dice-weight': 0.5}),
}
for name, result in seen.items():
    print(f'{name}:', result)
assert seen == dict(inf='fromfile: NameError', word='dump: SyntaxError', quote='dump: SyntaxError', top={})
PYTHON
