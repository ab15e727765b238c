"""Checkpoints that are complete or absent, never partial."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that get their name only when they are complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; a reader sees the old or the new content, never a part of it.

        Raises:
            OSError: The file could not be written; an earlier file of this name is still there.
        """
        path = Path(filepath)
        partial = path.with_name(f'{path.name}.partial')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            _sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise OSError(
                f'{path} could not be written ({error.strerror}); the earlier checkpoints are '
                'intact: free some space and resume the run'
            ) from error


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, safe to interrupt at any moment.

    Local checkpoints are written by :class:`AtomicBackend`. Those that ``max_keep_ckpts`` or a
    better score makes obsolete are removed after the new one is written (by mmengine: before).
    """

    file_backend: Any  # CheckpointHook chooses it when training starts

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:  # other backends write in their own ways
            self.backend_args = dict(backend='atomic')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self._removing_last():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._removing_last():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_last(self) -> Iterator[None]:
        """Delay removals inside the block until all is written; drop them if that fails."""
        backend = self.file_backend
        self.file_backend = later = _RemovingLater(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for path in set(later.obsolete) - current:
            backend.remove(path)


class _RemovingLater:
    """A file backend that only records what to remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.obsolete: list[str] = []

    def remove(self, path: str) -> None:
        self.obsolete.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


def _sync_folder(folder: Path) -> None:
    """Flush the new file name itself to the disk, where the system supports it (not Windows)."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
