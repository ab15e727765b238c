"""What a user sees while a job runs: a bar with the time left, and no more lines than are useful.

On a terminal a bar stands below the other lines, on standard error; elsewhere there are plain
lines: those of mmengine for a model that trains or is tested, and those of :func:`shown_progress`.
"""

import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TaskID

T = TypeVar('T')
PAUSE = 10.0  # seconds between two plain lines
REFRESH = 0.2  # seconds between two states of the bar of a training

# Starts of mmengine's messages that stand in the log file alone. The first four are hundreds of
# lines; the others are warnings that no config or environment can avoid: MMSegmentation
# gives its IoUMetric no prefix, and mmengine's CheckpointHook uses its own deprecated FileClient.
IN_LOG_FILE_ONLY = (
    f'\n{"-" * 60}\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'paramwise_options -- ',  # a line for each parameter
    'The prefix is not set in metric class IoUMetric',
    '"FileClient" will be deprecated in future',
    '"HardDiskBackend" is the alias of "LocalBackend"',
)
# What a line of training has for each head: its accuracy on the pixels of the batch.
ACCURACY = re.compile(r'  [\w.]*acc_seg: \S+')
# Warnings of MMSegmentation 1.2.2 and torch 2.13 about their own code: message, module. A decode
# head calls build_loss; the default hook SegVisualizationHook does not draw unless it is told to;
# torch.onnx copies the trees of torch.export.
HARMLESS = (
    ('``build_loss`` would be deprecated soon', r'mmseg\.models\.builder'),
    ('The draw is False', r'mmseg\.engine\.hooks\.visualization_hook'),
    (r'`isinstance\(treespec, LeafSpec\)` is deprecated', 'copyreg'),
)


def hide_harmless_warnings() -> None:
    """For tools: hide :data:`HARMLESS`, unless Python was told what to do with warnings."""
    for message, module in HARMLESS if not sys.warnoptions else ():
        warnings.filterwarnings('ignore', message, module=module)
    # torch.onnx misses operators of torchvision, which no model of MMSegmentation has.
    logging.getLogger('torch.onnx._internal.exporter._registration').setLevel(logging.ERROR)
    # mmengine has FUNCTIONS, MMSegmentation no child of it: each predictor would warn twice,
    # "Failed to search registry". What an empty child lacks is looked up in its parent.
    if 'mmseg' not in FUNCTIONS.children:
        Registry('function', parent=FUNCTIONS, scope='mmseg')


def keep_short(logger: logging.Logger, log_file: str) -> None:
    """Keep :data:`IN_LOG_FILE_ONLY` and :data:`ACCURACY` off the terminal, and say where the file
    is, which stays whole.
    """
    for handler in terminal_handlers(logger):
        plain = handler.format
        handler.addFilter(lambda record: not record.getMessage().startswith(IN_LOG_FILE_ONLY))
        handler.format = lambda r, plain=plain: ACCURACY.sub('', plain(r))  # type: ignore
        if handler.level <= logging.INFO:  # in the main process, if the config logs this much
            print(f'environment, config and hooks: {log_file}', flush=True)


def terminal_handlers(logger: logging.Logger) -> list[logging.StreamHandler]:
    return [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]


def open_bars(**options: Any) -> Progress | None:
    """Bars on standard error, with the time left; None if that is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # While a bar is shown, rich prints above it what goes to standard output, but on standard
    # error: not what a user has sent to a file.
    shared = sys.stdout.isatty()
    return Progress(
        *columns,
        console=console,
        redirect_stdout=shared,
        # By default it looks back 30 seconds, in which slow jobs have nothing to tell.
        speed_estimate_period=3600,
        **options,
    )


@contextmanager
def shown_progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a job is; where there is no terminal, by a line every :data:`PAUSE` seconds.

    Yields a function to be called with how much is done of ``total``.
    """
    progress = open_bars()
    if progress is not None:
        with progress:
            bar = progress.add_task(name, total=total)
            yield lambda done: progress.update(bar, completed=done)
        return
    begin = time.monotonic()
    last = begin - PAUSE / 2  # the first line comes sooner
    first: int | None = None  # more than 1 for a study that continues

    def tell(done: int) -> None:
        nonlocal first, last
        now = time.monotonic()
        if first is None:
            first = done
        elif now - last >= PAUSE and done > first:
            left = timedelta(seconds=round((now - begin) * (total - done) / (done - first)))
            print(f'{name}: {done:,} of {total:,}, {left} left', file=sys.stderr, flush=True)
            last = now

    yield tell


def track(items: Iterable[T], name: str, total: int) -> Iterator[T]:
    """Go through some items, and show the progress."""
    with shown_progress(name, total) as tell:
        for done, item in enumerate(items, start=1):
            yield item
            tell(done)


@contextmanager
def bars_of(runner: Runner) -> Iterator[None]:
    """On a terminal, show bars while a runner trains or tests; mmengine's lines are above them."""
    # Without a thread that redraws them: workers of data loaders are forked meanwhile.
    progress = open_bars(auto_refresh=False) if is_main_process() else None
    if progress is None:
        yield
        return
    hook = _BarHook(progress)
    runner.register_hook(hook)
    handlers = {handler: handler.stream for handler in terminal_handlers(runner.logger)}
    try:
        with progress:
            for handler in handlers:
                handler.setStream(sys.stdout)
            yield
    finally:
        for handler, stream in handlers.items():
            handler.setStream(stream)
        runner.hooks.remove(hook)


class _BarHook(Hook):
    """A bar for the training, and one for each validation or test while it runs."""

    priority = 'LOWEST'

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.training = self.pass_ = TaskID(0)
        self.drawn = 0.0

    def before_train(self, runner: Runner) -> None:
        self.training = self.progress.add_task(
            'Training', total=runner.max_iters, completed=runner.iter
        )

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode != 'train':
            batches = len(getattr(runner, f'{mode}_dataloader'))
            name = 'Testing' if mode == 'test' else 'Validation'
            self.pass_ = self.progress.add_task(name, total=batches)

    def _after_iter(self, runner: Runner, batch_idx: int, mode: str = 'train', **_: Any) -> None:
        if mode == 'train':
            self.progress.update(self.training, completed=runner.iter + 1)
        else:
            self.progress.update(self.pass_, completed=batch_idx + 1)
        if time.monotonic() - self.drawn >= REFRESH:
            self.progress.refresh()
            self.drawn = time.monotonic()

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode != 'train':
            self.progress.remove_task(self.pass_)
