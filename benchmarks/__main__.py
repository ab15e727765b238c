"""Run every benchmark, then write the figures into the pages: python -m benchmarks

About an hour on two cores. Figures are worth something only where nothing else runs.
"""

import subprocess
import sys

COMMANDS = (
    'pyramid_atrous_conv',
    'pyramid_atrous_conv --grid',
    'pac_head',
    'pac_head --steps',
    'boundary_weight',
    'lean_loss',
    'boundary_metric',
    'model_zoo',
    'model_zoo_page',
    'pages --write',
)

if __name__ == '__main__':
    for command in COMMANDS:
        module, *options = command.split()
        print(f'\npython -m benchmarks.{command}', flush=True)
        subprocess.run([sys.executable, '-m', f'benchmarks.{module}', *options], check=True)
