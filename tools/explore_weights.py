"""Choose the weights by eye: python tools/explore_weights.py [CONFIG | --labels FOLDER]

Opens a page on this machine (pip install "mmseg-pacbal[explore]"): pick a label of the config's
training data or of a folder, or upload one, and see the weights E_G of two settings side by side
while you move their sliders. Without CONFIG and --labels it takes the demo's generated data.
With --checkpoint it also shows the loss of every pixel. docs/choose_weights.md explains it.
"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from pathlib import Path
from typing import Any

from mmseg_pacbal import config
from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.explore.page import require_gradio, serve
from mmseg_pacbal.apps.explore.samples import Source, config_source, folder_source
from mmseg_pacbal.apps.explore.settings import loss_of_config
from mmseg_pacbal.openmmlab.completion import load_complete_config


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Choose the weights by eye', default_config='')
    parser.add_argument('--labels', metavar='FOLDER', help='label maps instead of a config')
    parser.add_argument('--checkpoint', help="of the config's model: shows the loss of every pixel")
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on')
    parser.add_argument('--port', type=int, help='default: a free one from 7860 on')
    return parser.parse_args()


def read_source(args: argparse.Namespace) -> tuple[Source, dict[str, Any] | None]:
    """The labels, and the arguments of the config's loss."""
    if args.labels is not None:
        if args.config or args.checkpoint or args.cfg_options:
            raise ValueError(
                '--labels needs no config, and goes neither with --checkpoint nor with '
                '--cfg-options; give a config or --labels'
            )
        return folder_source(Path(args.labels)), None
    cfg = load_complete_config(args.config or config('pac_bal_demo.py'), args.cfg_options)
    own = loss_of_config(cfg)
    return config_source(cfg, args.checkpoint), own


def main(args: argparse.Namespace) -> None:
    require_gradio()  # before anything that takes long
    source, own = read_source(args)
    serve(source, own, args.host, args.port)


if __name__ == '__main__':
    cli.run(main, parse_args())
