"""No network, and no syntax newer than the oldest Python that is supported."""

import ast
import socket

import pytest

from tests.environments import ROOT, printed_by

FOLDERS = ('benchmarks', 'configs', 'mmseg_pacbal', 'tests', 'tools')
# Every module is imported with a hook under which making a socket is an error.
IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys

def refuse(event, arguments):
    if event.startswith('socket.'):
        raise RuntimeError(f'{event} {arguments} while importing')

sys.addaudithook(refuse)
import mmseg_pacbal
for module in pkgutil.walk_packages(mmseg_pacbal.__path__, 'mmseg_pacbal.', onerror=print):
    if 'triton' not in module.name or importlib.util.find_spec('triton'):
        importlib.import_module(module.name)
        print(module.name)
import socket
try:
    socket.socket()
except RuntimeError:
    print('refused')
"""


@pytest.mark.slow
def test_importing_every_module_opens_no_socket():
    imported = printed_by(IMPORT_ALL).splitlines()
    assert imported[-1] == 'refused'  # the hook was at work
    files = [path for path in (ROOT / 'mmseg_pacbal').rglob('*.py') if 'triton' not in path.parts]
    assert len(set(imported)) >= len(files)


@pytest.mark.parametrize('address', [('192.0.2.1', 80), ('2001:db8::1', 80), ('example.org', 80)])
def test_tests_reach_no_other_machine(address):
    with pytest.raises(pytest.fail.Exception, match='tests do without a network'):
        socket.create_connection(address, timeout=0.01)


def test_tests_reach_this_machine():
    with socket.create_server(('localhost', 0)) as server:
        socket.create_connection(server.getsockname(), timeout=10).close()


@pytest.mark.parametrize('folder', FOLDERS)
def test_syntax_is_that_of_the_oldest_python(folder):
    files = list((ROOT / folder).rglob('*.py'))
    assert len(files) >= 5
    for path in files:
        ast.parse(path.read_text(encoding='utf-8'), str(path), feature_version=(3, 10))
