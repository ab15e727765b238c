"""What `mmseg_pacbal.compat` fixes: each test fails on the stack without it, or on a stack it
should leave alone."""

import functools
import json
import os
import pathlib
import pickle
import pickletools
import re
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import torch

from mmseg_pacbal import compat
from mmseg_pacbal.stack import installed_versions
from tests.test_stack import FORK, STOCK

compat.apply()

from mmengine.logging import HistoryBuffer  # noqa: E402
from mmengine.runner import CheckpointLoader, Runner  # noqa: E402
from packaging.version import Version  # noqa: E402

from tests.openmmlab.engine.tiny_run import history, train  # noqa: E402

TORCH = Version(Version(torch.__version__).base_version)
needs_lite = pytest.mark.skipif(
    'mmcv.ops' not in compat.fixed,
    reason='mmcv has its compiled ops, or this is the fork, which needs none',
)


def run_python(code: str, *path: object) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter in which nothing has been fixed."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, path)))
    command = [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def after(*calls: str, code: str) -> str:
    """Code that loads compat.py, but not the package, which would apply it, and calls it."""
    loading = f"""
        import sys, types
        package = sys.modules['mmseg_pacbal'] = types.ModuleType('mmseg_pacbal')
        package.__path__ = [{str(pathlib.Path(compat.__file__).parent)!r}]
        from mmseg_pacbal import compat
        """
    parts = [textwrap.dedent(loading), *(f'compat.{call}()' for call in calls)]
    return '\n'.join([*parts, textwrap.dedent(code)])


# --- the fork ------------------------------------------------------------------------------

FIXES = [
    'provide_compiled_ops',
    'find_bases',
    'load_checkpoints_safely',
    'load_yaml_safely',
]


@pytest.mark.parametrize(
    ('installed', 'fixes'), [(STOCK, FIXES), (FORK, FIXES[1:])], ids=['stock', 'fork']
)
def test_the_fork_is_not_given_what_it_does_without(installed, fixes, monkeypatch):
    called: list[str] = []
    for name in FIXES:
        monkeypatch.setattr(compat, name, functools.partial(called.append, name))
    monkeypatch.setattr(compat, 'installed_versions', lambda: installed)
    compat.apply()
    assert called == fixes


# --- compiled ops -----------------------------------------------------------------------------

CALL_AN_OP = """
    import json, mmseg.models, torch
    from mmcv.ops import nms
    from mmcv.utils import collect_env
    from mmengine.utils.dl_utils import mmcv_full_available
    try:
        nms(torch.rand(3, 4), torch.rand(3), 0.5)
    except RuntimeError as error:
        message = str(error)
    print(json.dumps({
        'message': message,
        'heads': 'ASPPHead' in mmseg.models.HEADS or 'ASPPHead' in dir(mmseg.models),
        'full': mmcv_full_available(),
        'compiler': collect_env()['MMCV Compiler'],
    }))
"""


@needs_lite
def test_models_import_and_a_called_op_names_itself():
    result = run_python(after('apply', 'apply', code=CALL_AN_OP))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert "the compiled op 'nms' of mmcv was called" in found['message']
    assert 'install full mmcv: pip' in found['message']
    assert found['heads']
    assert found['full'] is False  # the stand-in does not pass for compiled ops
    assert found['compiler'] == 'n/a'
    assert not hasattr(compat._MissingOps('mmcv._ext'), '__file__')


@pytest.mark.slow
@needs_lite
def test_models_do_not_import_without_compat():
    result = run_python('import mmseg.models')
    assert "No module named 'mmcv._ext'" in result.stderr


@pytest.mark.parametrize(
    ('ext', 'printed', 'error'),
    [
        ('nms = "compiled"', ['compiled'], ''),
        # A broken binary keeps its own error.
        ('raise ImportError("undefined symbol: _Z1x")', [], 'ImportError: undefined symbol: _Z1x'),
    ],
)
def test_sound_stack_is_left_alone(ext, printed, error, tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').touch()
    (tmp_path / 'mmcv' / '_ext.py').write_text(ext)
    code = """
        assert 'mmcv._ext' not in sys.modules
        import mmcv._ext
        print(mmcv._ext.nms)
    """
    result = run_python(after('provide_compiled_ops', code=code), tmp_path)
    assert result.stdout.split() == printed
    assert result.stderr.endswith(f'{error}\n' if error else ''), result.stderr


# --- checkpoints ------------------------------------------------------------------------------

POLY = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, by_epoch=False, begin=2, end=4),
    dict(type='MultiStepLR', milestones=[1]),
]
ONE_CYCLE = [dict(type='OneCycleLR', eta_max=0.1, total_steps=4, by_epoch=False)]


def train_stock(work_dir: pathlib.Path, schedule: list, epochs: int = 2, checkpoint=None) -> Runner:
    """mmengine's own parts; an epoch is two iterations, a validation and a checkpoint."""
    hook = dict(type='CheckpointHook', by_epoch=True, interval=1, save_best='score', rule='less')
    return train(
        work_dir,
        checkpoint,
        **{
            'runner_type': 'Runner',
            'train_cfg': dict(by_epoch=True, max_epochs=epochs, val_interval=1),
            'train_dataloader.sampler.type': 'DefaultSampler',
            'train_dataloader.batch_size': 5,
            'param_scheduler': schedule,
            'default_hooks.checkpoint': hook,
            'log_processor.by_epoch': True,
            'randomness': dict(seed=0),
        },
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Runner:
    return train_stock(tmp_path_factory.mktemp('trained'), POLY)


@pytest.fixture(scope='module')
def checkpoint(trained) -> pathlib.Path:
    return pathlib.Path(trained.work_dir, 'epoch_2.pth')


def pickled(file: pathlib.Path) -> tuple[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith('/data.pkl'))
        return name, archive.read(name)


def test_checkpoint_names_what_the_allow_list_was_made_for(checkpoint):
    names = {
        argument.replace(' ', '.').replace('numpy._core', 'numpy.core')
        for opcode, argument, _ in pickletools.genops(pickled(checkpoint)[1])
        if opcode.name == 'GLOBAL' and not argument.startswith('torch')
    }
    assert names == {
        '__builtin__.getattr',
        '_codecs.encode',
        'collections.Counter',
        'collections.OrderedDict',
        'mmengine.logging.history_buffer.HistoryBuffer',
        'numpy.core.multiarray._reconstruct',
        'numpy.core.multiarray.scalar',
        'numpy.dtype',
        'numpy.ndarray',
    }


def check_message_hub(hub: dict) -> None:
    assert type(hub['runtime_info']['best_score']) is np.float32
    assert hub['runtime_info']['val/per_class'].tolist() == [25.0, 100.0]
    losses = hub['log_scalars']['train/loss']
    assert type(losses) is HistoryBuffer
    assert losses._count_history.tolist() == [1, 1, 1, 1]
    # `statistics` goes through what the checkpoint holds as the result of getattr.
    assert losses.statistics('max') == losses._log_history.max() > 0


def test_checkpoint_loads_with_weights_only(trained, checkpoint):
    loaded = torch.load(checkpoint, weights_only=True)
    check_message_hub(loaded['message_hub'])
    assert loaded['meta']['dataset_meta'] == dict(classes=('a',))
    assert len(loaded['param_schedulers']) == 3
    weights = dict(trained.model.state_dict())
    torch.testing.assert_close(dict(loaded['state_dict']), weights, rtol=0, atol=0)


@pytest.mark.parametrize('written_by', ['numpy.core', 'numpy._core'])
def test_checkpoint_of_either_numpy_loads(checkpoint, tmp_path, written_by):
    file, (target, _) = tmp_path / 'epoch_2.pth', pickled(checkpoint)
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(file, 'w') as copy:
        for name in source.namelist():
            data = source.read(name)
            if name == target:
                data = re.sub(rb'cnumpy\._?core\.', f'c{written_by}.'.encode(), data)
                assert f'c{written_by}.multiarray\nscalar\n'.encode() in data
            copy.writestr(name, data)
    check_message_hub(compat.load_from_local(str(file))['message_hub'])


def test_stock_training_resumes(trained, checkpoint, tmp_path):
    resumed = train_stock(tmp_path, POLY, epochs=3, checkpoint=checkpoint)
    assert (resumed.epoch, resumed.iter) == (3, 6)
    for name in ('train/loss', 'train/lr'):
        assert history(resumed, name)[:4] == history(trained, name)
        assert len(history(resumed, name)) == 6


def test_checkpoint_with_one_cycle_schedule_loads(tmp_path):
    train_stock(tmp_path, ONE_CYCLE, epochs=1)
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    schedule = loaded['param_schedulers'][0]
    assert schedule['anneal_func'](0.0, 1.0, 0.5) == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.skipif(Version('2.6') > TORCH, reason='torch before 2.6 loads anything')
@pytest.mark.skipif(
    bool(installed_versions().get('onedl-mmengine')),
    reason='onedl-mmengine loads what weights_only=True refuses with weights_only=False',
)
def test_checkpoint_does_not_load_without_compat(checkpoint):
    result = run_python(
        'from mmengine.runner import CheckpointLoader\n'
        f'CheckpointLoader.load_checkpoint({str(checkpoint)!r})'
    )
    assert result.returncode == 1
    assert 'UnpicklingError: Weights only load failed' in result.stderr


def test_local_loader_keeps_its_name_in_the_log_and_is_registered_once():
    known = set(torch.serialization.get_safe_globals())
    compat.apply()
    assert set(torch.serialization.get_safe_globals()) == known
    loader = CheckpointLoader._get_checkpoint_loader('work_dirs/epoch_1.pth')
    assert loader is compat.load_from_local
    assert loader.__name__ == 'load_from_local'
    assert CheckpointLoader._get_checkpoint_loader('https://x.org/a.pth') is not loader


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ('make', 'named'),
    [
        (lambda mark: Call(pathlib.Path.touch, mark), 'getattr|pathlib'),
        (lambda mark: Call(os.mkdir, str(mark)), f'{os.name}.mkdir'),
        (lambda mark: Call(eval, f'open({str(mark)!r}, "w")'), 'eval'),
        (lambda mark: Call(getattr, HistoryBuffer, '__init__'), 'getattr'),
        (lambda mark: Call(getattr, np.ndarray, 'tofile'), 'getattr'),
        (lambda mark: {'message_hub': np.array([mark], dtype=object)}, 'pathlib|dtype'),
        (lambda mark: np.array([None]), 'ObjectDType|object_'),
    ],
)
def test_hostile_checkpoint_is_refused_and_not_run(tmp_path, make, named):
    mark, file = tmp_path / 'mark', tmp_path / 'hostile.pth'
    torch.save({'state_dict': {'weight': torch.zeros(1)}, 'meta': make(mark)}, file)
    with pytest.raises(pickle.UnpicklingError) as error:
        CheckpointLoader.load_checkpoint(str(file))
    message = str(error.value)
    assert re.match(re.escape(f'{file} was not loaded, as it carries '), message)
    assert re.search(named, message.removeprefix(str(file)))
    assert '\n' not in message
    assert not mark.exists()


@pytest.mark.parametrize('kept', [0.0, 0.001, 0.1, 0.5, 0.999, b'<html>not found</html>'])
def test_what_is_no_whole_checkpoint_says_so(checkpoint, tmp_path, kept):
    file, data = tmp_path / 'cut.pth', checkpoint.read_bytes()
    file.write_bytes(kept if isinstance(kept, bytes) else data[: int(kept * len(data))])
    with pytest.raises(pickle.UnpicklingError, match=r'cut\.pth could not be read .* truncated'):
        compat.load_from_local(str(file))


def test_missing_file_and_missing_device_keep_their_errors(checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no\.pth does not exist; give the path'):
        compat.load_from_local(str(tmp_path / 'no.pth'))
    # torch 2.4 wraps the RuntimeError.
    with pytest.raises((RuntimeError, pickle.UnpicklingError), match='CUDA') as error:
        compat.load_from_local(str(checkpoint), map_location='cuda:99')
    assert 'could not be read' not in str(error.value)
