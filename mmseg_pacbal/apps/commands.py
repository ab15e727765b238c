"""The command line: ``pacbal train ...``, which is ``python tools/train.py ...``, and the others.

Arguments are parsed, and what :mod:`.refusals` can see is refused, before anything is imported
that takes seconds. Then the ``main`` of the module that does the work is called.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NamedTuple

from ..configs import say
from ..errors import require_mmseg
from ..version import __version__
from . import arguments, cli, refusals


class Command(NamedTuple):
    """What adds the arguments, the module below apps/ that does the work, and pacbal's words."""

    arguments: Callable[[argparse.ArgumentParser], None]
    module: str
    words: str


# By the names of the tools.
COMMANDS = {
    'train': Command(arguments.train, 'train', 'train'),
    'test': Command(arguments.test, 'test', 'test'),
    'predict': Command(arguments.predict, 'predict', 'predict'),
    'check': Command(arguments.check, 'train', 'check'),
    'browse_weights': Command(arguments.browse_weights, 'browse_weights', 'weights browse'),
    'weight_statistics': Command(
        arguments.weight_statistics, 'weight_statistics', 'weights statistics'
    ),
    'explore_weights': Command(arguments.explore_weights, 'explore', 'weights explore'),
    'analyze_errors': Command(arguments.analyze_errors, 'analyze_errors', 'analyze'),
    'compare_errors': Command(arguments.compare_errors, 'error_summary', 'compare'),
    'visualize': Command(arguments.visualize, 'visualize', 'visualize'),
    'export_onnx': Command(arguments.export_onnx, 'export_onnx', 'export'),
    'run_study': Command(arguments.run_study, 'study.command', 'study'),
    'demo': Command(arguments.demo, 'demo', 'demo'),
    'doctor': Command(arguments.doctor, 'doctor', 'doctor'),
    'prepare_voc': Command(arguments.prepare_voc, 'voc.prepare', 'prepare-voc'),
    'convert_lite0': Command(arguments.convert_lite0, 'lite0', 'convert-lite0'),
}


def parse_args(
    tool: str, given: list[str] | None = None, prog: str | None = None
) -> argparse.Namespace:
    """What a tool is asked to do; by default by the arguments of this process."""
    add = COMMANDS[tool].arguments
    p = argparse.ArgumentParser(prog=prog, description=add.__doc__)
    add(p)
    return p.parse_args(given)


def run(tool: str, prog: str | None = None) -> None:
    """Run a tool with the arguments of this process."""
    execute(tool, parse_args(tool, prog=prog))


def execute(tool: str, args: argparse.Namespace) -> None:
    """Run a tool; an error ends this process with one sentence."""

    def work(args: argparse.Namespace) -> None:
        require_mmseg('this tool')
        refusals.check(tool, args)
        say('loading PyTorch and MMSegmentation ...', sys.stderr)
        with spared_garbage_collector():
            from ..openmmlab.terminal import hide_harmless_warnings

            module = import_module(f'.{COMMANDS[tool].module}', __package__)
        hide_harmless_warnings()
        cli.read_options(args)
        module.main(args)

    cli.run(work, args)


@contextmanager
def spared_garbage_collector() -> Iterator[None]:
    """Import without Python's garbage collector, and keep what is imported from it.

    It would search all that again and again: a third of the time until a training starts. mmengine
    calls it for each data set that it builds.
    """
    first = 'torch' not in sys.modules  # else what ran in this process would be kept for good
    gc.disable()
    try:
        yield
    finally:
        if first:
            gc.freeze()
        gc.enable()


def pacbal() -> argparse.ArgumentParser:
    """The parser of all commands."""
    p = argparse.ArgumentParser(prog='pacbal', description='All tools of mmseg-pacbal')
    p.add_argument('--version', action='version', version=__version__)
    groups = {'': p.add_subparsers(required=True, metavar='COMMAND')}
    for tool, command in COMMANDS.items():
        group, _, name = command.words.rpartition(' ')
        if group not in groups:
            inner = groups[''].add_parser(group, help=f'Look at the {group} of the loss.')
            groups[group] = inner.add_subparsers(required=True, metavar='COMMAND')
        summary = command.arguments.__doc__
        parser = groups[group].add_parser(name, help=summary, description=summary)
        command.arguments(parser)
        parser.set_defaults(tool=tool)
    return p


def main() -> None:
    """The console command ``pacbal``, with completion in the shell if argcomplete is installed."""
    p = pacbal()
    try:
        import argcomplete
    except ImportError:
        pass
    else:
        argcomplete.autocomplete(p)
    args = p.parse_args()
    execute(args.tool, args)
