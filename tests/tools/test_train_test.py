"""The tools as users run them: train, resume, test, and one sentence for every mistake."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmseg_pacbal import configs
from mmseg_pacbal.apps import cli
from tests.running import DEMO, ROOT, call_tool, mistake, run_tool, small

VOC, CAMVID = (ROOT / 'configs' / f'pac_bal_{name}.py' for name in ('voc', 'camvid'))
VOC_SAMPLE = ROOT.parent / 'shared' / 'data' / 'voc_sample' / 'VOCdevkit' / 'VOC2012'
TWO_IMAGES = [f'{name}_dataloader.dataset.indices=2' for name in ('val', 'test')]
EVERY_2 = ['default_hooks.checkpoint.interval=2', 'default_hooks.checkpoint.max_keep_ckpts=-1']


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data) -> Path:
    """A work dir with checkpoints after 2 and 4 iterations."""
    work_dir = tmp_path_factory.mktemp('work')
    options = small(data, 'max_iters=4', *TWO_IMAGES, *EVERY_2)
    call_tool('train', DEMO, '--work-dir', work_dir, *options)
    assert (work_dir / 'iter_2.pth').is_file()
    return work_dir


def test_resume_continues(trained, data, tmp_path, capsys):
    interrupted = tmp_path / 'work'
    interrupted.mkdir()
    shutil.copy(trained / 'iter_2.pth', interrupted)
    (interrupted / 'last_checkpoint').write_text(str(interrupted / 'iter_2.pth'))

    options = small(data, 'max_iters=4', 'default_hooks.logger.interval=1', *TWO_IMAGES)
    call_tool('train', DEMO, '--work-dir', interrupted, '--resume', *options)

    said = [x for x in capsys.readouterr().out.splitlines() if 'not as in the checkpoint' in x]
    assert 'config: not as in the checkpoint: default_hooks.logger.interval: 50 -> 1' in said
    changed = {line.split(': ')[2] for line in said} - {'work_dir'}
    hooks = ('logger.interval', 'checkpoint.interval', 'checkpoint.max_keep_ckpts')
    assert changed == {f'default_hooks.{name}' for name in hooks}
    log = next(interrupted.glob('*/vis_data/scalars.json'))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r['step'] for r in records if 'loss' in r] == [3, 4]
    before, after = (torch.load(interrupted / f'iter_{n}.pth', weights_only=True) for n in (2, 4))
    assert after['meta']['iter'] == 4
    name = 'decode_head.pac.weight'
    assert not torch.equal(before['state_dict'][name], after['state_dict'][name])
    momentum = [o['optimizer']['state'][0]['momentum_buffer'] for o in (before, after)]
    assert not torch.equal(*momentum)


def test_test_writes_predictions_and_pictures(trained, data, tmp_path):
    """mIoU from the saved label maps, counted here, is the recorded one."""
    folders = ['--work-dir', tmp_path, '--out', tmp_path / 'out', '--show-dir', tmp_path / 'show']
    options = small(data, 'test_dataloader.dataset.indices=6')
    call_tool('test', DEMO, trained / 'iter_2.pth', *folders, *options)

    names = (data / 'ImageSets' / 'Segmentation' / 'val.txt').read_text().split()[:6]
    predictions = {path.stem: np.array(Image.open(path)) for path in (tmp_path / 'out').iterdir()}
    assert sorted(predictions) == sorted(names)
    assert all(p.shape == (128, 160) and p.max() < 7 for p in predictions.values())
    assert len(list((tmp_path / 'show').rglob('*.png'))) == len(names)

    folders = ['--work-dir', tmp_path / 'again', '--show-dir', tmp_path / 'images', '--opacity', 0]
    call_tool('test', DEMO, trained / 'iter_2.pth', *folders, *small(data, *TWO_IMAGES))
    drawn = list((tmp_path / 'images').rglob('*.png'))
    assert len(drawn) == 2
    for path in drawn:  # label and prediction: the image, twice
        image = Image.open(
            data / 'JPEGImages' / path.name[len('test_') :].replace('.jpg_0.png', '.jpg')
        )
        assert np.array_equal(np.array(Image.open(path)), np.hstack([np.array(image)] * 2))

    confusion = np.zeros((7, 7))
    for name, prediction in predictions.items():
        truth = np.array(Image.open(data / 'SegmentationClass' / f'{name}.png'))
        valid = truth != 255
        np.add.at(confusion, (truth[valid], prediction[valid]), 1)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    miou = np.nanmean(confusion.diagonal() / union)
    record = json.loads(next(iter(tmp_path.glob('*/*.json'))).read_text())
    assert record['mIoU'] == pytest.approx(100 * miou, abs=0.005 + 1e-6)


def test_tta_runs(trained, data, tmp_path, capsys):
    options = small(data, *TWO_IMAGES)
    call_tool('test', DEMO, trained / 'iter_2.pth', '--work-dir', tmp_path, '--tta', *options)
    assert '[2/2]' in ''.join(capsys.readouterr())


def run(name: str, *args: object) -> str:
    """What a tool prints that is run in a process of its own."""
    result = run_tool(name, *args)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_real_voc_trains_and_tests_with_options_only(tmp_path):
    if not VOC_SAMPLE.is_dir():
        pytest.skip('the real VOC sample is not beside this checkout')
    options = [
        *('--cfg-options', f'data_root={VOC_SAMPLE}', 'crop_size=65,65', 'max_iters=2'),
        *('train_dataloader.batch_size=2', 'model.pretrained=None'),
    ]
    run('train', VOC, '--work-dir', tmp_path, *options)
    run('test', VOC, tmp_path / 'iter_2.pth', '--work-dir', tmp_path, *options)
    record = json.loads(max(tmp_path.glob('*/*.json')).read_text())
    assert 0 <= record['mIoU'] <= 100


@pytest.mark.slow
def test_two_processes_train_on_cpu(data, tmp_path):
    command = ['bash', ROOT / 'tools' / 'dist_train.sh', DEMO, '2', '--work-dir', tmp_path]
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'  # of torchrun
    result = subprocess.run(
        [*map(str, command), *small(data, 'max_iters=2')],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', 'PORT': '29611'},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_amp_trains_resumes_and_tests_in_bfloat16(data, tmp_path):
    options = small(data, 'max_iters=4', 'randomness.seed=0', *TWO_IMAGES, *EVERY_2)
    for name, amp in (('float32', []), ('bfloat16', ['--amp'])):
        printed = run('train', DEMO, '--work-dir', tmp_path / name, *amp, *options)
        set_wrapper = "config: optim_wrapper.type = 'BFloat16OptimWrapper'" in printed
        assert set_wrapper == (name == 'bfloat16')
    exact, half = (weights(tmp_path / name / 'iter_4.pth') for name in ('float32', 'bfloat16'))
    differences = [(half[name] - exact[name]).abs().max() for name in exact]
    assert all(weight.dtype == exact[name].dtype for name, weight in half.items())
    assert 0 < max(differences) < 0.1

    again = tmp_path / 'again'
    again.mkdir()
    shutil.copy(tmp_path / 'bfloat16' / 'iter_2.pth', again)
    run('train', DEMO, '--work-dir', again, '--resume', '--amp', *options)
    resumed = weights(again / 'iter_4.pth')
    assert all(torch.equal(resumed[name], half[name]) for name in half)

    checkpoint = tmp_path / 'bfloat16' / 'iter_4.pth'
    for name, amp in (('exact', []), ('half', ['--amp'])):
        out = ['--work-dir', tmp_path / f'test_{name}', '--out', tmp_path / name]
        printed = run('test', DEMO, checkpoint, *out, *amp, *options)
        assert ('config: test_cfg.fp16 = True' in printed) == (name == 'half')
    names = sorted(path.name for path in (tmp_path / 'exact').iterdir())
    assert len(names) == 2
    pairs = [[np.array(Image.open(tmp_path / d / n)) for d in ('exact', 'half')] for n in names]
    assert all((a == b).mean() > 0.9 for a, b in pairs)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)['state_dict']


# --- mistakes: one sentence that says what to do, a non-zero exit code, no frames ---


def test_mistakes_in_config_and_options(capsys, data, tmp_path):
    broken, orphan = tmp_path / 'broken.py', tmp_path / 'orphan.py'
    broken.write_text('model = dict(\n')
    orphan.write_text("_base_ = './nothing.py'\n")
    nowhere = f'data_root={tmp_path}/none'
    cases: list[tuple[list, list[str]]] = [
        ([broken], [f'config {broken} does not parse']),
        ([orphan], [f'config {orphan} does not parse', 'nothing.py']),
        ([DEMO, *small(data, 'model.decode_head.ratez=1')], ['ratez']),
        (
            [DEMO, *small(data, 'model.decode_head.num_classes=5')],
            ['num_classes is 5', 'model.decode_head.num_classes=7'],
        ),
        (
            [CAMVID, '--cfg-options', nowhere],
            [f'data_root {tmp_path}/none does not exist', '--cfg-options data_root='],
        ),
    ]
    for arguments, parts in cases:
        sentence = mistake(capsys, 'train', *arguments, '--work-dir', tmp_path / 'work')
        assert [part for part in parts if part not in sentence] == [], sentence


def test_a_signal_before_training_ends_with_75(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setattr(Runner, 'from_cfg', lambda cfg: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        call_tool('train', DEMO, '--work-dir', tmp_path, *small(data, 'runner_type=Runner'))
    assert ended.value.code == os.EX_TEMPFAIL
    assert 'stopped by SIGTERM without a checkpoint; resume the run' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


# --- options ---


def test_settings_reach_every_place():
    changed = {'data_root': 'elsewhere', 'crop_size': [33, 65], 'max_iters': 7}
    cfg = configs.load_config(str(VOC), {**changed, 'optimizer.lr': 0.02})
    loaders = [f'{name}_dataloader' for name in ('train', 'val', 'test')]
    roots = [d.data_root for loader in loaders for _, d in configs.datasets(cfg, loader)]
    assert roots == ['elsewhere'] * 4
    assert cfg.model.data_preprocessor.size == (33, 65)
    crops = [d.pipeline[3].crop_size for d in cfg.train_dataloader.dataset.datasets]
    assert crops == [(33, 65)] * 2
    assert (cfg.train_cfg.max_iters, cfg.param_scheduler[0].end) == (7, 7)
    sgd = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4)
    assert cfg.optim_wrapper.optimizer == sgd
    # What was not overridden stays.
    assert Config.fromfile(VOC).max_iters == 30000


def test_traceback_on_request(capsys):
    def main(args):
        raise ValueError('too small')

    with pytest.raises(SystemExit):
        cli.run(main, argparse.Namespace(traceback=True))
    assert 'Traceback' in capsys.readouterr().err
