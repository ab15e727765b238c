"""Downloads from a server of the test's own: whole, resumed, cut off, damaged, missing."""

import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from mmseg_pacbal.apps.voc import download
from mmseg_pacbal.apps.voc.download import fetch
from mmseg_pacbal.openmmlab import terminal

DATA = np.random.default_rng(0).bytes(5000)
MD5 = hashlib.md5(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file; remembers the ranges that were asked for."""

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.data, self.ranges, self.knows_ranges = DATA, [], True
        self.cut_after = None  # bytes after which each answer breaks off
        self.url = f'http://127.0.0.1:{self.server_port}/a/file.tar?version=1'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get('Range')
        server.ranges.append(asked)
        start = int(re.fullmatch(r'bytes=(\d+)-', asked)[1]) if asked else 0
        if not self.path.startswith('/a/file.tar'):
            return self.send_error(404)
        if not server.knows_ranges:
            start = 0
        elif asked and start >= len(server.data):
            return self.send_error(416)
        partial = asked and server.knows_ranges
        self.send_response(206 if partial else 200)
        if partial:
            end = len(server.data)
            self.send_header('Content-Range', f'bytes {start}-{end - 1}/{end}')
        self.send_header('Content-Length', str(len(server.data) - start))
        self.end_headers()
        self.wfile.write(server.data[start:][: server.cut_after])
        return None

    def log_message(self, *args: object) -> None:
        """Not into the test's output."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(download, '_PAUSE', 0)
    for proxy in ('http_proxy', 'HTTP_PROXY'):
        monkeypatch.delenv(proxy, raising=False)
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_path_is_verified_and_taken_as_it_is(tmp_path):
    path = tmp_path / 'file.tar'
    path.write_bytes(DATA)
    assert fetch(str(path), tmp_path / 'd', MD5) == path
    assert not (tmp_path / 'd').exists()
    with pytest.raises(FileNotFoundError, match=r'none.tar does not exist; give the path of a'):
        fetch(str(tmp_path / 'none.tar'), tmp_path, MD5)


def test_downloads_once(server, tmp_path):
    path = fetch(server.url, tmp_path / 'd', MD5)
    assert path == tmp_path / 'd' / 'file.tar'
    assert path.read_bytes() == DATA
    assert fetch(server.url, tmp_path / 'd', MD5) == path
    assert server.ranges == [None]
    assert [p.name for p in path.parent.iterdir()] == ['file.tar']


def test_progress_is_plain_lines_without_a_terminal(server, tmp_path, monkeypatch, capsys):
    """In megabytes, of what is there after the start: the first 2 MiB were there."""
    monkeypatch.setattr(terminal, 'PAUSE', 0)
    server.data = bytes(5 * 2**20)
    (tmp_path / 'file.tar.part').write_bytes(server.data[: 2 * 2**20])
    fetch(server.url, tmp_path, hashlib.md5(server.data).hexdigest())
    lines = [line.rpartition(', ')[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f'Downloading file.tar, MB: {n} of 6' for n in (5, 6)]


@pytest.mark.parametrize('have', [1, 2500, 4999, 5000])
def test_continues_where_it_was_interrupted(server, tmp_path, have):
    (tmp_path / 'file.tar.part').write_bytes(DATA[:have])
    assert fetch(server.url, tmp_path, MD5).read_bytes() == DATA
    assert server.ranges == [f'bytes={have}-']


def test_continues_when_the_connection_breaks(server, tmp_path):
    server.cut_after = 1500
    assert fetch(server.url, tmp_path, MD5).read_bytes() == DATA
    assert server.ranges == [None, 'bytes=1500-', 'bytes=3000-', 'bytes=4500-']


def test_gives_up_in_the_end_and_keeps_what_there_is(server, tmp_path):
    server.cut_after = 500
    message = re.escape(f'the download of {server.url} stopped after 2,500 bytes')
    with pytest.raises(ConnectionError, match=message):
        fetch(server.url, tmp_path, MD5)
    assert (tmp_path / 'file.tar.part').read_bytes() == DATA[:2500]
    assert fetch(server.url, tmp_path, MD5).read_bytes() == DATA


def test_server_without_ranges_sends_all_anew(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / 'file.tar.part').write_bytes(b'x' * 100)
    assert fetch(server.url, tmp_path, MD5).read_bytes() == DATA


def test_damaged_download_is_removed_but_not_a_file_of_the_user(server, tmp_path):
    mine = tmp_path / 'mine' / 'file.tar'
    mine.parent.mkdir()
    mine.write_bytes(DATA[:-1])
    with pytest.raises(ValueError, match=r'file.tar is damaged .*remove it to download it again'):
        fetch(server.url, mine.parent, MD5)
    assert (mine.read_bytes(), server.ranges) == (DATA[:-1], [])
    (tmp_path / 'file.tar.part').write_bytes(b'x' * 100)  # of another file
    with pytest.raises(ValueError, match=f'file.tar.part is damaged .* is {MD5}; it was removed'):
        fetch(server.url, tmp_path, MD5)
    assert [path.name for path in tmp_path.iterdir()] == ['mine']
    assert fetch(server.url, tmp_path, MD5).read_bytes() == DATA


def test_nothing_there(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none.tar.* cannot be downloaded: HTTP Error 404'):
        fetch(server.url.replace('a/file', 'b/none'), tmp_path, MD5)
    with pytest.raises(ConnectionError, match=r'stopped after 0 bytes .* run the command again'):
        fetch('http://127.0.0.1:1/file.tar', tmp_path, MD5)
