"""Checkpoints that are complete or absent, never partial."""

import os
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, safe to interrupt at any moment and for other runs.

    Local checkpoints are written by :class:`.AtomicBackend`. Those that ``max_keep_ckpts`` or a
    better score makes obsolete are removed after the new one is written (by mmengine: before), and
    only from the run's own folder: a run that continues from the checkpoint of another, or from a
    copy of it, leaves the other's best checkpoint alone.
    """

    file_backend: Any  # these two are set when training starts
    best_ckpt_path: str | None

    def before_train(self, runner: Runner) -> None:
        known = runner.message_hub.runtime_info
        if 'keep_ckpt_ids' in known:  # parts of the names of files to remove
            numbers = [step for step in known['keep_ckpt_ids'] if isinstance(step, int)]
            runner.message_hub.update_info('keep_ckpt_ids', numbers)
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:  # other backends write in their own ways
            self.backend_args = dict(backend='atomic')
            self.file_backend = _OwnFolder(self.out_dir)
        if hasattr(self, 'best_ckpt_path'):
            self.best_ckpt_path = self._in_own_folder(self.best_ckpt_path)
        best = getattr(self, 'best_ckpt_path_dict', {})
        best.update({key: self._in_own_folder(path) for key, path in best.items()})

    def _in_own_folder(self, path: str | None) -> str | None:
        """Where a best checkpoint lies if the run's folder was moved or copied; None elsewhere."""
        name = Path(path or '').name
        here = self.file_backend.join_path(self.out_dir, name)
        return here if name.startswith('best_') and self.file_backend.exists(here) else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        record = Path(runner.work_dir, 'last_checkpoint')
        if record.is_symlink():  # to the record of another run, in a work dir made of links
            record.unlink()
        super()._save_checkpoint_with_step(runner, step, meta)
        self._remove_obsolete()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self._remove_obsolete()

    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        if ckpt_path:  # there may be no best checkpoint in the run's own folder
            super()._publish_model(runner, ckpt_path)

    def _remove_obsolete(self) -> None:
        if isinstance(self.file_backend, _OwnFolder):
            best = getattr(self, 'best_ckpt_path_dict', {}).values()
            current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
            for path in self.file_backend.obsolete - current:
                Path(path).unlink(missing_ok=True)
            self.file_backend.obsolete.clear()


class _OwnFolder(LocalBackend):
    """Local files; what is to be removed from one folder is noted, and elsewhere nothing is."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = os.path.realpath(folder)
        self.obsolete: set[str] = set()

    def remove(self, filepath: str | Path) -> None:
        if os.path.realpath(Path(filepath).parent) == self.folder:
            self.obsolete.add(str(filepath))

    def rmtree(self, dir_path: str | Path) -> None:
        """Leave a folder alone: no checkpoint of ours is one."""
