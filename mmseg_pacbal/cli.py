"""What the tools share: arguments, configs and errors of one sentence."""

import argparse
import atexit
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.dist import get_backend
from mmengine.hooks import LoggerHook

# Values that a config uses in several places. mmengine copies a variable's value to where the
# file uses it, so overriding the variable later would change nothing: see _spread.
SPREAD = ('data_root', 'crop_size', 'max_iters', 'optimizer')


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


def one_sentence(error: Exception) -> str:
    """The message of an error on one line, with its type where the message alone says little."""
    # A KeyError prints its message in quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('Caught ') and 'Original Traceback' in text:  # in a data loader's worker
        text = text.strip().splitlines()[-1].removeprefix(f'{type(error).__name__}: ')
    text = ' '.join(text.split())
    telling = isinstance(error, (ValueError, OSError, ImportError))
    return text if telling and text else f'{type(error).__name__}: {text}'


def load_config(path: str, options: dict | None = None) -> Config:
    """Parse a config and apply ``--cfg-options``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not parse, or an option does not fit it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'config {path} does not exist; give the path of a config file, such as '
            'configs/pac_bal_demo.py'
        )
    try:
        cfg = Config.fromfile(path)
    except Exception as error:
        raise ValueError(
            f'config {path} does not parse: {one_sentence(error)}{_environment_read(path)}'
        ) from error
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(f'--cfg-options do not fit {path}: {one_sentence(error)}') from error
    _spread(cfg, options or {})
    return cfg


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


def datasets(loader: ConfigDict) -> Iterator[ConfigDict]:
    """Configs of the data sets a loader reads, those inside wrappers included."""
    for node in _walk(loader.dataset):
        if 'data_prefix' in node or 'data_root' in node:
            yield node


def evaluators(cfg: Config) -> list[ConfigDict]:
    """Configs of the metrics of the test, of which a config may have one or a list."""
    test = cfg.test_evaluator
    return [*test] if isinstance(test, (list, tuple)) else [test]


def _environment_read(path: str) -> str:
    """What a config that does not parse takes from the environment, as ``{{$NAME:default}}``."""
    text = Path(path).read_text(errors='replace')
    defaults = dict(re.findall(r'\{\{\s*\$(\w+)\s*:\s*(\S*?)\s*\}\}', text))
    return ''.join(
        f'; it takes {name}={os.environ[name]} from the environment: unset {name} for {default}, '
        'or give another value'
        for name, default in defaults.items()
        if name in os.environ
    )


def _spread(cfg: Config, options: dict) -> None:
    """Carry the variables of SPREAD that were overridden to where the config uses them."""
    own = {key: value for key, value in options.items() if key.split('.')[0] == 'optimizer'}
    cfg.merge_from_dict({f'optim_wrapper.{key}': value for key, value in own.items()})
    if 'data_root' in options:
        for name in ('train', 'val', 'test'):
            for dataset in datasets(cfg[f'{name}_dataloader']):
                dataset.data_root = cfg.data_root
    if 'crop_size' in options:
        cfg.crop_size = _pair(cfg.crop_size)
        cfg.model.data_preprocessor.size = cfg.crop_size
        for node in _walk(cfg.train_dataloader):
            if 'crop_size' in node:
                node.crop_size = cfg.crop_size
    if 'max_iters' in options:
        cfg.train_cfg.max_iters = cfg.max_iters
        for scheduler in cfg.param_scheduler:
            if scheduler.type == 'PolyLR':
                scheduler.end = cfg.max_iters


def _pair(size: object) -> tuple[int, int]:
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ValueError(f'crop_size must be height,width in pixels, but got {size!r}')
    return pair


def _replace_types(cfg: Config, types: tuple[str | type, ...], other: str) -> None:
    for node in _walk(cfg._cfg_dict):
        if node.get('type') in types:
            node['type'] = other


def _walk(node: object) -> Iterator[ConfigDict]:
    """Every dict of a config tree."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _walk(child)
