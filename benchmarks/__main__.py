"""Run every benchmark, then write the figures into the pages: python -m benchmarks

Figures are worth something only where nothing else runs. With
``--device cuda`` it measures on the GPU, and writes records only: the pages show one machine.
quantised_layer and whole_models need nncf, and the latter checkpoints and CamVid: they are not run.
"""

import argparse
import subprocess
import sys

import torch

ON_ANY_DEVICE = (
    *('pyramid_atrous_conv', 'pac_head'),
    *('boundary_weight', 'losses', 'model_zoo', 'earlier_build'),
)
ON_CPU = (
    *('boundary_metric', 'busy_cores', 'cost_curves'),
    *('export_runtimes', 'startup', 'pages'),
)


def commands(device: str) -> list[str]:
    measuring = [f'{command} --device {device}' for command in ON_ANY_DEVICE]
    return [*measuring, *(ON_CPU if device == 'cpu' else ())]


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    args = p.parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        p.error('--device cuda needs a GPU, and none is found here')
    for command in commands(args.device):
        module, *options = command.split()
        print(f'\npython -m benchmarks.{command}', flush=True)
        subprocess.run([sys.executable, '-m', f'benchmarks.{module}', *options], check=True)
