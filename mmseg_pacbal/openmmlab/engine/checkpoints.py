"""Checkpoints: complete or absent, damage found by a digest; what a run continues from."""

import ast
import errno
import hashlib
import os
import uuid
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader, Runner

from ...errors import RefusedCheckpointError
from ...files import find_checkpoints

# torch.save writes a zip archive. Such a file may end with a comment, after two bytes with its
# length; ours is this label and the digest of all bytes before the digest.
LABEL = b'sha256:'
DIGEST_BYTES = 64
# Of an entry so marked torch reads no data, and leaves in a tensor what lies in memory (2.13).
MSDOS_FOLDER = 0x10
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def with_digest(archive: bytes) -> list[bytes | memoryview]:
    """Append a digest to an archive of torch.save; in parts, so that the archive is not copied."""
    if not _ends_without_comment(archive):
        return [archive]
    content = memoryview(archive)[:-2]
    label = (len(LABEL) + DIGEST_BYTES).to_bytes(2, 'little') + LABEL
    digest = hashlib.sha256(content)
    digest.update(label)
    return [content, label, digest.hexdigest().encode()]


def is_intact(path: str | Path) -> bool:
    """Whether a checkpoint is as it was written: no bit of it differs.

    A checkpoint without a digest, as mmengine's own hook writes it, must have right checksums
    (CRC-32) and load, with weights only. Nothing in a checkpoint is executed.
    """
    try:
        content = memoryview(Path(path).read_bytes())
        rest, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if rest[-len(LABEL) :] == LABEL:
            return digest == hashlib.sha256(rest).hexdigest().encode()
        with zipfile.ZipFile(path) as archive:
            folders = any(entry.external_attr & MSDOS_FOLDER for entry in archive.infolist())
            if folders or not _ends_without_comment(content) or archive.testzip() is not None:
                return False
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    except RefusedCheckpointError:
        return True  # it is as somebody wrote it; loading it will say what it carries
    except Exception:  # whatever a damaged file makes a reader raise
        return False
    return True


def _ends_without_comment(archive: bytes | memoryview) -> bool:
    end = bytes(archive[-22:])  # the end record, without a comment
    return end.startswith(b'PK\5\6') and end.endswith(b'\0\0')


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that get their name only when they are complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; a reader sees the old or the new content, never a part of it.

        A checkpoint gets a digest, which readers of torch's files pass over.
        """
        path = Path(filepath)
        # Two processes with one name would rename what the other still writes.
        partial = path.with_name(f'{path.name}.{uuid.uuid4().hex}.partial')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, 'wb') as file:
                file.writelines(with_digest(obj))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            if os.name == 'posix':  # flush the new name too, which Windows does not support
                folder = os.open(path.parent, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            remedy = 'free some space' if error.errno in FULL_DISK else 'make the folder writable'
            raise OSError(
                f'{path} could not be written ({error.strerror}); the earlier checkpoints are '
                f'intact: {remedy} and resume the run'
            ) from error


def latest_intact_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint to continue from; None if there is none.

    It is the one that the file ``last_checkpoint`` names; if that is missing or damaged, as a
    printed line then says, the newest intact one in the folder.

    Raises:
        ValueError: There are checkpoints, but all of them are damaged.
    """
    damaged: list[str] = []
    for path in dict.fromkeys([*_named(Path(work_dir)), *find_checkpoints(work_dir)]):
        if is_intact(path):
            if damaged:
                print(
                    f'{" and ".join(damaged)} missing, cut off or damaged: continuing from {path}'
                )
            return path
        damaged.append(str(path))
    if damaged:
        raise ValueError(
            f'no checkpoint in {work_dir} is intact: {" and ".join(damaged)} missing, cut off or '
            'damaged; copy an intact one there, or start a new run in another work_dir'
        )
    return None


def _named(work_dir: Path) -> list[Path]:
    """What ``last_checkpoint`` names: in a copied folder the copy, not the original."""
    file = work_dir / 'last_checkpoint'
    name = file.read_text().strip() if file.is_file() else ''
    here = work_dir / Path(name).name
    return [here if here.is_file() or not Path(name).is_file() else Path(name)] if name else []


def last_whole_checkpoint(work_dir: str | Path) -> Path | None:
    """Earlier name of :func:`latest_intact_checkpoint`."""
    warnings.warn(
        'last_whole_checkpoint is named latest_intact_checkpoint now; version 2.0 removes the '
        'earlier name',
        DeprecationWarning,
        stacklevel=2,
    )
    return latest_intact_checkpoint(work_dir)


def resume_from(runner: Runner, path: str | Path) -> None:
    """Make a runner that has not started continue from a checkpoint."""
    # Not through its config, which is saved in the work dir: a later run that is started with it
    # must not start from this checkpoint.
    runner._resume, runner._load_from = True, str(path)


def changed_settings(saved: str, now: str) -> list[str]:
    """Settings in which two printed configs differ, such as ``max_iters: 100 -> 200``.

    Args:
        saved: The config that a checkpoint carries; it is parsed, never executed. What is no
            config has nothing to compare.
        now: The config that runs.
    """
    try:
        old, new = (
            dict(setting for line in ast.parse(text).body for setting in _innermost(line))
            for text in (saved, now)
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
        return []
    differ = [name for name in old | new if old.get(name) != new.get(name)]
    return [f'{n}: {old.get(n, "not set")} -> {new.get(n, "not set")}' for n in differ]


def _innermost(node: ast.AST, path: str = '') -> Iterator[tuple[str, str]]:
    """The settings in a part of a printed config, by their paths."""
    children: Iterable[tuple[object, ast.AST]]
    match node:
        case ast.Assign(targets=[target], value=value):
            children = [(ast.unparse(target), value)]
        case ast.Call(keywords=[_, *_] as keywords):
            children = [(keyword.arg, keyword.value) for keyword in keywords]
        case ast.Dict(keys=[_, *_] as keys, values=values):
            names = [ast.unparse(key) if key else '**' for key in keys]
            children = zip(names, values, strict=True)
        case ast.List(elts=[_, *_] as items):
            children = enumerate(items)
        case _:
            yield path, ast.unparse(node)
            return
    for name, child in children:
        yield from _innermost(child, f'{path}.{name}' if path else str(name))
