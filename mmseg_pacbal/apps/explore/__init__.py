"""A local page on which the arguments of the boundary weights are chosen by eye."""

import argparse
from pathlib import Path
from typing import Any

from ...configs import config
from ...openmmlab.completion import load_complete_config
from .page import require_gradio, serve
from .samples import Source, config_source, folder_source
from .settings import loss_of_config


def main(args: argparse.Namespace) -> None:
    require_gradio()  # before anything that takes long
    source, own = _read_source(args)
    serve(source, own, args.host, args.port)


def _read_source(args: argparse.Namespace) -> tuple[Source, dict[str, Any] | None]:
    """The labels, and the arguments of the config's loss."""
    if args.labels is not None:
        if args.config or args.checkpoint or args.cfg_options:
            raise ValueError(
                '--labels needs no config, and goes neither with --checkpoint nor with '
                '--cfg-options; give a config or --labels'
            )
        return folder_source(Path(args.labels)), None
    cfg = load_complete_config(args.config or config('pac_bal_demo.py'), args.cfg_options)
    return config_source(cfg, args.checkpoint), loss_of_config(cfg)
