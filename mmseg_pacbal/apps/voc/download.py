"""Files from a path or a URL: downloads resume where they stopped, and checksums are verified."""

import hashlib
import math
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ...openmmlab.terminal import shown_progress
from . import WEB, require_archive

_ATTEMPTS = 5
_PAUSE = 2  # seconds between attempts
_TIMEOUT = 60  # seconds without a byte
_CHUNK = 1 << 20


def fetch(source: str, folder: Path, md5: str) -> Path:
    """The file at a path or a URL, of which the md5 checksum is right.

    What is at a URL is downloaded to a folder, once; the name of an incomplete file ends in
    ``.part``, and the next call continues it.
    """
    require_archive(source)
    if urlsplit(source).scheme not in WEB:
        _check_md5(Path(source), md5, 'give the path of an intact copy, or its URL')
        return Path(source)
    path = folder / Path(urlsplit(source).path).name
    if path.exists():
        _check_md5(path, md5, 'remove it to download it again')
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    _download(source, part)
    try:
        _check_md5(part, md5, 'it was removed; start again or give another URL')
    except ValueError:
        part.unlink()
        raise
    part.replace(path)
    return path


def _check_md5(path: Path, md5: str, advice: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    print(f'verifying {path}', flush=True)
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != md5:
        raise ValueError(
            f'{path} is damaged or a different file: its md5 checksum is {digest.hexdigest()}, but '
            f'that of the published file is {md5}; {advice}'
        )


def _download(url: str, part: Path) -> None:
    """Append what is missing to ``part``, in several attempts."""
    for attempt in range(1, _ATTEMPTS + 1):
        have = part.stat().st_size if part.exists() else 0
        try:
            return _append(url, part, have)
        except HTTPError as error:
            if error.code == 416:  # there is nothing beyond the bytes already downloaded
                return None
            raise FileNotFoundError(f'{url} cannot be downloaded: {error}') from error
        except (OSError, HTTPException) as error:
            if attempt == _ATTEMPTS:
                have = part.stat().st_size if part.exists() else 0
                raise ConnectionError(
                    f'the download of {url} stopped after {have:,} bytes ({error}); run the '
                    'command again to continue from there'
                ) from error
            time.sleep(_PAUSE)


def _append(url: str, part: Path, have: int) -> None:
    request = Request(url, headers={'Range': f'bytes={have}-'} if have else {})
    with urlopen(request, timeout=_TIMEOUT) as response:
        resumed = response.headers.get('Content-Range', '').startswith(f'bytes {have}-')
        start = have if resumed else 0  # a server without ranges sends the whole file
        length = int(response.headers.get('Content-Length') or 0)
        total = math.ceil((start + length) / 1e6)
        bar = shown_progress(f'Downloading {part.stem}, MB', total)
        with bar as tell, part.open('ab' if resumed else 'wb') as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                if length:  # else the server does not say how much there is
                    tell(math.ceil(file.tell() / 1e6))
    if part.stat().st_size < start + length:
        raise ConnectionError('the connection was closed')
