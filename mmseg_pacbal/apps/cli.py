"""What the commands share: arguments, checks of output files, one-sentence errors."""

import argparse
import ast
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..configs import PROPAGATED
from ..errors import one_sentence

if TYPE_CHECKING:  # importing it takes seconds, which --help does not wait for
    from mmengine.config import Config

# Words in errors of the library, and the option that does the same on the command line.
_FLAGS = {
    r'\bset (?=[\w.]+=)': 'give --cfg-options ',
    r'^settings do not fit': '--cfg-options do not fit',
    r'\bresume the run\b': 'continue with --resume',
    r'\bin another work_dir\b': 'with another --work-dir',
}


class Options(argparse.Action):
    """``KEY=VALUE ...`` as a dict of texts; :func:`read_options` reads them as mmengine does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if '=' not in value:
                parser.error(
                    f'{option_string} takes KEY=VALUE, such as max_iters=8000, but got {value!r}'
                )
        earlier = getattr(namespace, self.dest) or {}
        options = earlier | dict(value.split('=', maxsplit=1) for value in values)
        setattr(namespace, self.dest, options)


def read_value(text: str) -> Any:
    """The value of an option: what mmengine's DictAction reads, but spaces in a path stay.

    What holds a dict, for which DictAction has no form, is read as Python, such as
    ``[dict(type='A'), {'b': 1}]``; ValueError if it is none. Nothing is executed.
    """
    from mmengine.config import DictAction

    plain = text.strip('\'"')
    called = re.search(r'(^|[\[(,=:\s])dict\(', plain)  # not in a path
    if called or '{' in plain:
        try:
            tree = _DictCalls().visit(ast.parse(plain.strip(), mode='eval'))
            if called or any(isinstance(node, ast.Dict) for node in ast.walk(tree)):
                return ast.literal_eval(tree)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
            if called:  # else a pattern for names
                raise ValueError(
                    f'{text!r} cannot be read; write lists and dicts as in Python, with texts in '
                    "quotes, such as [dict(type='ChannelsLastHook')]"
                ) from error
    if ' ' in plain and not set(plain) & set(',()[]'):
        return plain
    return DictAction._parse_iterable(text)


class _DictCalls(ast.NodeTransformer):
    """Makes ``{'a': 1}``, which ``ast.literal_eval`` reads, of ``dict(a=1)``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if ast.unparse(node.func) != 'dict' or node.args or None in names:
            return node
        values = [keyword.value for keyword in node.keywords]
        return ast.Dict([ast.Constant(name) for name in names], values)


def read_options(args: argparse.Namespace) -> None:
    """Replace the texts that :class:`Options` has stored by their values."""
    for name, value in vars(args).items():
        if isinstance(value, dict):
            setattr(args, name, {key: read_value(text) for key, text in value.items()})


def add_config(p: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the arguments of every tool that runs a config, named as in MMSegmentation.

    Args:
        p: The parser.
        default: The config to run if none is given; None makes the argument required.
    """
    nargs = None if default is None else '?'
    p.add_argument('config', nargs=nargs, default=default, help='config file')
    add_common(p)


def add_compare(p: argparse.ArgumentParser) -> None:
    """Add ``--compare``, to a tool that shows two models side by side."""
    p.add_argument('--compare', nargs=2, metavar=('CONFIG2', 'CHECKPOINT2'), help='a second model')


def add_work_dir(p: argparse.ArgumentParser) -> None:
    """Add ``--work-dir`` for a tool that writes there: see :func:`work_dir`."""
    p.add_argument('--work-dir', help='folder for logs and checkpoints')


def add_amp(p: argparse.ArgumentParser) -> None:
    """Add ``--amp``, to a tool that runs a model."""
    p.add_argument(
        '--amp', action='store_true', help='mixed precision: float16 on a GPU, bfloat16 on a CPU'
    )


def add_opacity(p: argparse.ArgumentParser, default: float | None, says: str) -> None:
    """Add ``--opacity``, to a tool that paints classes over images: see :func:`check_opacity`."""
    p.add_argument(
        '--opacity',
        type=float,
        default=default,
        help=f'of the classes over an image, 0 to 1; {says}',
    )


def check_opacity(args: argparse.Namespace) -> None:
    """Raise ValueError unless ``--opacity`` is from 0 to 1 or not given."""
    if args.opacity is not None and not 0 <= args.opacity <= 1:
        raise ValueError(f'--opacity must be from 0 to 1, but got {args.opacity:g}')


def add_overwrite(p: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``, to a tool that writes files: see :func:`check_outputs`."""
    p.add_argument('--overwrite', action='store_true', help='replace files that exist')


def add_launcher(p: argparse.ArgumentParser) -> None:
    """Add ``--launcher`` for a tool that several processes run: see :func:`.start_processes`."""
    p.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='launcher'
    )
    p.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_traceback(p: argparse.ArgumentParser) -> None:
    """Add ``--traceback``, to every tool: see :func:`run`."""
    p.add_argument('--traceback', action='store_true', help='show the traceback of an error')


def add_common(p: argparse.ArgumentParser) -> None:
    """Add the options of every tool that runs configs."""
    p.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='override settings of the config, such as train_dataloader.batch_size=4; '
        f'{", ".join(PROPAGATED)} are copied to every place that uses them',
    )
    add_traceback(p)


def run(main: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Run a tool; an error ends it with one sentence and exit code 1."""
    code = 0
    try:
        main(args)
    except SystemExit as ended:  # training that a signal stopped
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        print('stopped by Ctrl-C', file=sys.stderr)
        code = 128 + signal.SIGINT
    except Exception as error:
        if args.traceback:
            traceback.print_exc()
        print(f'error: {with_flags(one_sentence(error))}', file=sys.stderr)
        if not args.traceback:
            print('(--traceback shows where it was raised)', file=sys.stderr)
        code = 1
    # Processes that train together end in a way of their own.
    if processes := sys.modules.get('mmseg_pacbal.openmmlab.engine.processes'):
        processes.end_process(code)
    elif code:
        sys.exit(code)


def with_flags(sentence: str) -> str:
    """Express an error of the library, which speaks of settings, in options of the command line."""
    for words, flags in _FLAGS.items():
        sentence = re.sub(words, flags, sentence)
    return sentence


def work_dir(args: argparse.Namespace, cfg: 'Config') -> str:
    """``--work-dir``, else the config's, else ``work_dirs/<name of the config>``."""
    return args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'


def check_outputs(
    args: argparse.Namespace,
    outputs: Iterable[str | Path],
    inputs: Iterable[str | Path | None] = (),
    option: str = '--out',
) -> None:
    """Check, before any work, that a tool can write its files and that none of the user's is lost.

    Args:
        args: ``--overwrite`` permits to replace files, but none that the tool reads.
        outputs: Files to be written.
        inputs: Files that the tool reads besides config, checkpoint and ``--compare``; None and
            those that do not exist are skipped.
        option: What chooses the outputs, for messages.

    Raises:
        FileExistsError: A file exists without ``--overwrite``, is an input, or is a symbolic link.
        IsADirectoryError: An output is a folder.
        OSError: An output cannot be written.
    """
    known = vars(args)
    given = [*inputs, known.get('config'), known.get('checkpoint'), *(known.get('compare') or ())]
    sources = [Path(path).expanduser() for path in given if path]
    read = [path.stat() for path in sources if path.exists()]
    paths = [Path(path) for path in outputs]
    existing = [path for path in paths if _exists(path, read, option)]
    if existing and not args.overwrite:
        more = f' and {len(existing) - 1} more' if len(existing) > 1 else ''
        raise FileExistsError(
            f'{existing[0]}{more} would be overwritten; add --overwrite or give another {option}'
        )
    folders = {_existing_folder(path.parent) for path in paths}
    for place in [*existing, *sorted(folders)]:
        try:
            with tempfile.TemporaryFile(dir=place) if place in folders else place.open('ab'):
                pass
        except OSError as error:
            raise OSError(
                f'{place} cannot be written to ({error.strerror}); give another {option}'
            ) from error


def _exists(path: Path, read: Sequence[os.stat_result], option: str) -> bool:
    """Whether a file would be replaced; an error if it must not be."""
    if path.is_dir():
        raise IsADirectoryError(f'{path} is a folder; give the name of a file as {option}')
    if path.exists() and any(os.path.samestat(path.stat(), one) for one in read):
        raise FileExistsError(f'{path} is a file that this tool reads; give another {option}')
    if path.exists() and not path.is_file():
        return False  # a device or a pipe, such as /dev/stdout
    if path.is_symlink():
        raise FileExistsError(
            f'{path} is a symbolic link to {os.readlink(path)}; remove it or give another {option}'
        )
    return path.exists()


def _existing_folder(folder: Path) -> Path:
    return next(f for f in (folder, *folder.parents) if os.path.lexists(f))
