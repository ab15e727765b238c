"""A local page on which the arguments of the boundary weights are chosen by eye."""

import argparse
from pathlib import Path

from ...configs import config
from ...openmmlab.completion import load_complete_config
from .page import serve
from .samples import config_source, folder_source
from .settings import loss_of_config


def main(args: argparse.Namespace) -> None:
    if args.labels is None:
        cfg = load_complete_config(args.config or config('pac_bal_demo.py'), args.cfg_options)
        source, loss_args = config_source(cfg, args.checkpoint), loss_of_config(cfg)
    else:
        source, loss_args = folder_source(Path(args.labels)), None
    serve(source, loss_args, args.host, args.port)
