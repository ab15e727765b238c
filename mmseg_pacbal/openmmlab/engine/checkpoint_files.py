"""Files of checkpoints: complete or absent, and with a digest by which damage is found."""

import errno
import hashlib
import os
import uuid
import zipfile
from contextlib import suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from ...errors import RefusedCheckpointError

# What torch.save writes is a zip archive, which may end with a comment, after the comment's length
# in two bytes. It holds the digest of all bytes before the digest.
LABEL = b'sha256:'
DIGEST_BYTES = 2 * hashlib.sha256().digest_size  # in hexadecimal
END_OF_ARCHIVE = b'PK\5\6'
END_BYTES = 22  # of an archive without a comment
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def with_digest(archive: bytes) -> list[bytes | memoryview]:
    """Append a digest to an archive as torch.save writes it; other content stays as it is.

    The result comes in parts, so that a large archive is not copied.
    """
    if not _ends_as_torch_does(archive):
        return [archive]
    content = memoryview(archive)[:-2]
    label = (len(LABEL) + DIGEST_BYTES).to_bytes(2, 'little') + LABEL
    digest = hashlib.sha256(content)
    digest.update(label)
    return [content, label, digest.hexdigest().encode()]


def is_intact(path: str | Path) -> bool:
    """Whether a checkpoint is as it was written: no bit of it differs.

    A checkpoint without a digest (by mmengine's own hook, or by an earlier version of this package)
    is checked as well as its format allows: its checksums (CRC-32) must agree, and it must load,
    with weights only. Nothing in a checkpoint is executed.
    """
    try:
        digest = _appended_digest(path)
        if digest is not None:
            return digest == _digest_of_the_rest(path)
        with zipfile.ZipFile(path) as archive, open(path, 'rb') as file:
            file.seek(-END_BYTES, os.SEEK_END)
            if not _ends_as_torch_does(file.read()) or archive.testzip() is not None:
                return False
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')
    except RefusedCheckpointError:
        return True  # it is as somebody wrote it; loading it will say what it carries
    except Exception:  # whatever a damaged file makes a reader raise
        return False
    return True


def _ends_as_torch_does(archive: bytes) -> bool:
    """Whether an archive, or its end, has no comment, not even a damaged one."""
    end = archive[-END_BYTES:]
    return end.startswith(END_OF_ARCHIVE) and end.endswith(b'\0\0')


def _appended_digest(path: str | Path) -> bytes | None:
    with open(path, 'rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - DIGEST_BYTES - len(LABEL)))
        label, digest = file.read(len(LABEL)), file.read()
    return digest if label == LABEL else None


def _digest_of_the_rest(path: str | Path) -> bytes:
    digest = hashlib.sha256()
    left = os.path.getsize(path) - DIGEST_BYTES
    with open(path, 'rb') as file:
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest().encode()


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that get their name only when they are complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; a reader sees the old or the new content, never a part of it.

        A checkpoint gets a digest, which readers of torch's files pass over.

        Raises:
            OSError: The file could not be written; an earlier file of this name is still there.
        """
        path = Path(filepath)
        # The same name for two processes would let one rename what the other still writes.
        partial = path.with_name(f'{path.name}.{uuid.uuid4().hex}.partial')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, 'wb') as file:
                file.writelines(with_digest(obj))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            _sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            remedy = 'free some space' if error.errno in FULL_DISK else 'make the folder writable'
            raise OSError(
                f'{path} could not be written ({error.strerror}); the earlier checkpoints are '
                f'intact: {remedy} and resume the run'
            ) from error


def _sync_folder(folder: Path) -> None:
    """Flush the new file name itself to the disk, where the system supports it (not Windows)."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
