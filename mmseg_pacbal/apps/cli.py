"""What the tools share: arguments, configs and errors of one sentence."""

import argparse
import atexit
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import get_backend
from mmengine.hooks import LoggerHook

from ..configs import SPREAD, walk
from ..errors import one_sentence


class Options(DictAction):
    """mmengine's DictAction, which fails on an option without a value, with a sentence for it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if '=' not in value:
                parser.error(
                    f'{option_string} takes KEY=VALUE, such as max_iters=8000, but got {value!r}'
                )
        super().__call__(parser, namespace, values, option_string)


def parser(description: str, default_config: str | None = None) -> argparse.ArgumentParser:
    """A parser of what every tool that runs a config is given, named as in MMSegmentation.

    Args:
        description: Of the tool.
        default_config: The config that is run where none is given; None: one must be given.
    """
    p = argparse.ArgumentParser(description=description)
    nargs = None if default_config is None else '?'
    p.add_argument('config', nargs=nargs, default=default_config, help='config file')
    add_common(p)
    return p


def add_work_dir(p: argparse.ArgumentParser) -> None:
    """Add ``--work-dir``, to a tool that writes there: see :func:`work_dir`."""
    p.add_argument('--work-dir', help='folder for logs and checkpoints')


def add_launcher(p: argparse.ArgumentParser) -> None:
    """Add ``--launcher``, to a tool that several processes run: see :func:`prepare_launcher`."""
    p.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='launcher'
    )
    p.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_common(p: argparse.ArgumentParser) -> None:
    """Add the arguments that every tool has."""
    p.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='override settings of the config, such as train_dataloader.batch_size=4; '
        f'{", ".join(SPREAD)} are carried to every place that uses them',
    )
    p.add_argument('--traceback', action='store_true', help='show the frames of an error')


def run(main: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Run a tool; an error ends it with one sentence and exit code 1."""
    code = 0
    try:
        main(args)
    except Exception as error:
        if args.traceback:
            traceback.print_exc()
        print(f'error: {one_sentence(error)}', file=sys.stderr)
        if not args.traceback:
            print('(--traceback shows where it was raised)', file=sys.stderr)
        code = 1
    if get_backend() == 'gloo':
        _leave_gloo(code)
    if code:
        sys.exit(code)


def _leave_gloo(code: int) -> NoReturn:
    """End one of several processes without tearing Python down.

    Threads of gloo let go of a collective's tensors some time after it has returned. One that
    waits for the interpreter while Python ends aborts the process, and
    ``destroy_process_group`` does not wait for it, since ``DistributedDataParallel`` keeps the
    group. Other processes are not waited for: after an error they may wait for this one.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def work_dir(args: argparse.Namespace, cfg: Config) -> str:
    """``--work-dir``, else the config's, else ``work_dirs/<name of the config>``."""
    return args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'


def prepare_launcher(cfg: Config, args: argparse.Namespace) -> None:
    """Set the launcher; where there is no GPU, several processes talk through gloo."""
    cfg.launcher = args.launcher
    if args.launcher != 'none':
        _replace_types(cfg, ('LoggerHook', LoggerHook), 'MainProcessLoggerHook')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None
        )
        _replace_types(cfg, ('SyncBN',), 'BN')  # torch has SyncBN on GPUs only


def _replace_types(cfg: Config, types: tuple[str | type, ...], other: str) -> None:
    for node in walk(cfg._cfg_dict):
        if node.get('type') in types:
            node['type'] = other
