"""Figures of the committed records, for the sentences of the pages (tests/test_figures.py)."""

import csv
import json
import re
import statistics
from pathlib import Path

import yaml

from benchmarks import records
from mmseg_pacbal.apps.error_summary import read_errors
from mmseg_pacbal.apps.study.statistics import compare
from mmseg_pacbal.ops.factorized import choose_by_rule
from tests.environments import ROOT

MIOU, TRIMAP, BF1 = 'mIoU', 'trimap_mIoU@4', 'mBF1'
RESULTS = ROOT / 'results'
ERRORS = RESULTS / 'errors'


def lines(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


class StudyTable:
    """A study's committed table, which tests/test_results.py makes again from its records."""

    def __init__(self, name: str) -> None:
        self.folder = RESULTS / name
        self.cells = {
            (line['row'], line['metric']): line for line in lines(self.folder / 'table.csv')
        }
        self.rows = list(dict.fromkeys(row for row, _ in self.cells))
        self.text = (self.folder / 'table.md').read_text()

    def figure(self, row: str, measure: str, column: str = 'difference') -> float:
        return float(self.cells[row, measure][column])

    def mean(self, row: str, measure: str = MIOU) -> float:
        return self.figure(row, measure, 'mean')

    def gain(self, row: str, measure: str = MIOU) -> float:
        return self.figure(row, measure)

    def interval(self, row: str, measure: str = MIOU, digits: int = 1) -> str:
        """Such as ``'+2.7 (+0.7 to +4.7)'``."""
        difference, low, high = (
            f'{self.figure(row, measure, column):+.{digits}f}'
            for column in ('difference', 'low', 'high')
        )
        return f'{difference} ({low} to {high})'

    def seeds(self, row: str, measure: str = MIOU) -> str:
        """How many it would take to decide, as the report says."""
        return re.search(r' about (\d+) seeds', self.verdict(row, measure))[1]

    def decided(self, row: str, measure: str) -> str | None:
        """'better', 'worse', or None, as the report says."""
        found = re.search(' seeds: (better|worse)$', self.verdict(row, measure))
        return found and found[1]

    def verdict(self, row: str, measure: str) -> str:
        """The report's sentence."""
        start = f'- {row}, {measure}: '
        (line,) = (line for line in self.text.splitlines() if line.startswith(start))
        return line.removeprefix(start)

    def rank_correlation(self) -> str:
        return re.search(r'over rows\): (\S+ \([^)]+\)), \d+ rows', self.text)[1]

    def records(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob('*.json'))]

    def score(self, row: str, seed: int = 0, measure: str = MIOU) -> float:
        return json.loads((self.folder / f'{row}-seed{seed}.json').read_text())['metrics'][measure]

    def pair(self, row: str, baseline: str, seed: int = 0, measure: str = MIOU) -> float:
        return self.score(row, seed, measure) - self.score(baseline, seed, measure)


def benchmark(name: str) -> dict:
    """The results of a benchmark's record."""
    return records.read(records.RESULTS / f'{name}.json')['results']


def milliseconds(times: dict) -> float:
    return 1e3 * times['p50']


def network(config: str) -> dict:
    """Parameters and FLOPs of a config's network."""
    networks = benchmark('model_zoo-intel-xeon-processor-x2')['networks']
    return next(found for found in networks if config in found['configs'])


def saved(what: str, ours: str, theirs: str) -> str:
    return f'{100 * (1 - network(ours)[what] / network(theirs)[what]):.0f} %'


def reported(table: int, figure: str) -> dict[str, float]:
    """The paper's figures by row."""
    tables = yaml.safe_load((ROOT / 'configs' / 'ablation' / 'paper_tables.yml').read_text())
    return {row['name']: row[figure] for row in tables[f'table_{table}']}


def errors(*names: str) -> dict[tuple[str, str], tuple[float, ...]]:
    """Baseline, PAC + BAL, difference and ends of its interval, by measure and region."""
    pairs = [read_errors(ERRORS / name).values() for name in names]
    found = {}
    for cell in next(iter(pairs[0])):
        models = [[model[cell] for model in models] for models in zip(*pairs, strict=True)]
        paired = compare([b - a for a, b in zip(*models, strict=True)])
        found[cell] = (*map(statistics.fmean, models), paired.difference, paired.low, paired.high)
    return found


def class_scores(name: str, figure: str = 'IoU') -> dict[str, str]:
    """Of PAC + BAL over all pixels, by class."""
    return {
        line['class']: line[figure]
        for line in lines(ERRORS / name / 'regions.csv')
        if line['model'].startswith('pac_bal') and line['region'] == 'all'
    }


def calibration(name: str, region: str) -> tuple[float, float]:
    """Accuracy and mean confidence of PAC + BAL in a region."""
    bins = [
        line
        for line in lines(ERRORS / name / 'calibration.csv')
        if line['model'].startswith('pac_bal') and line['region'] == region and line['accuracy']
    ]
    pixels = [int(line['pixels']) for line in bins]
    accuracy, confidence = (
        statistics.fmean([float(line[key]) for line in bins], pixels)
        for key in ('accuracy', 'confidence')
    )
    return accuracy, confidence


def grid() -> list[tuple[float, float]]:
    """Time of the factorized form and of what ``auto`` chooses, as shares of the convolutions'."""
    path = records.RESULTS / 'pyramid_atrous_conv_grid-intel-xeon-processor-x2.csv'
    shares = []
    for row in csv.DictReader(path.read_text().splitlines()[1:]):
        share = float(row['factorized p50']) / float(row['convolutions p50'])
        chosen = choose_by_rule(int(row['c_in']), row['rates'].split())
        shares.append((share, 1.0 if chosen == 'reference' else share))
    return shares


def gather_shares() -> list[float]:
    """Bytes per second of the Triton kernel, in % of a plain copy's."""
    speeds = [
        {name: case['moved'][name] / times['p50'] for name, times in case['times'].items()}
        for case in benchmark('gather_kernel-nvidia-h200')
    ]
    return [100 * s[name] / s['copy'] for s in speeds for name in ('outputs', 'gradients')]


def named_times(benchmark_name: str) -> dict[str, float]:
    """Milliseconds of every call in all groups of a record."""
    groups = benchmark(benchmark_name).values()
    return {n: milliseconds(t) for g in groups if isinstance(g, dict) for n, t in g.items()}
