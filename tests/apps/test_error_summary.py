"""Two models over several seeds: figures computed by hand, and one sentence for a mistake."""

from pathlib import Path

from mmseg_pacbal.apps.error_summary import error_table
from tests.running import call_tool, failure

REGIONS = 'model,region,class,pixels,right,IoU,accuracy\n'
BINS = 'model,region,up to,pixels,accuracy,confidence\n'


def write(folder: Path, models: dict[str, tuple[int, float]]) -> Path:
    """A folder for models with so many pixels right of 200, and such a confidence in one bin."""
    folder.mkdir()
    regions, bins = REGIONS, BINS
    for name, (right, confidence) in models.items():
        regions += (
            f'{name},all,sky,200,{right},12.00,50.00\n{name},all,mean,200,{right},30.00,50.00\n'
        )
        regions += f'{name},thin parts,mean,40,10,{right / 2:.2f},25.00\n'
        regions += f'{name},small objects,mean,0,0,nan,nan\n'
        bins += f'{name},all,0.5,0,,\n{name},all,0.9,150,0.8000,{confidence}\n'
        bins += f'{name},all,1.0,50,0.9000,0.8000\n'
    (folder / 'regions.csv').write_text(regions)
    (folder / 'calibration.csv').write_text(bins)
    return folder


def test_means_differences_and_intervals(tmp_path):
    one = write(tmp_path / '1', {'ce': (100, 0.9), 'bal': (110, 0.8)})
    two = write(tmp_path / '2', {'ce': (100, 0.9), 'bal': (130, 0.9)})
    lines = [line.strip('| ').split(' | ') for line in error_table([one, two]).splitlines()]
    # Of errors 5 and 15 per cent less: mean 10, and 12.7062 * 7.0711 / sqrt(2) = 63.53.
    assert lines[0] == ['measure', 'region', 'ce', 'bal', 'difference', '95 % interval']
    assert lines[2:] == [
        ['mIoU', 'all', '30.00', '30.00', '+0.00', '+0.00 to +0.00'],
        ['mIoU', 'thin parts', '50.00', '60.00', '+10.00', '-53.53 to +73.53'],
        ['errors', 'all', '50.00', '40.00', '-10.00', '-73.53 to +53.53'],
        ['errors', 'thin parts', '15.00', '15.00', '+0.00', '+0.00 to +0.00'],
        # Both bins are 0.1 off, in opposite directions; in the second model's first seed one is.
        ['ECE', 'all', '0.1000', '0.0625', '-0.0375', '-0.5140 to +0.4390'],
        ['overconfidence', 'all', '0.0500', '0.0125', '-0.0375', '-0.5140 to +0.4390'],
    ]


def test_one_seed_has_no_interval_and_the_tool_prints_the_table(tmp_path, capsys):
    folder = write(tmp_path / '1', {'ce': (100, 0.9), 'bal': (110, 0.8)})
    assert '| errors | all | 50.00 | 45.00 | -5.00 |  |' in error_table([folder])
    call_tool('compare_errors', folder, folder)
    assert capsys.readouterr().out == error_table([folder, folder]) + '\n'


def test_a_mistake_is_one_sentence(tmp_path, capsys):
    good = write(tmp_path / 'good', {'ce': (100, 0.9), 'bal': (110, 0.8)})
    other = write(tmp_path / 'other', {'ce': (100, 0.9), 'pac': (110, 0.8)})
    alone = write(tmp_path / 'alone', {'ce': (100, 0.9)})
    for folder in (other, alone):
        _, sentence = failure(capsys, 'compare_errors', good, folder)
        assert sentence.startswith(f'{folder} holds the errors of ce'), sentence
        assert 'the same two models' in sentence
