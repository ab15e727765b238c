"""A study: configs to compare, each trained with several seeds."""

import copy
import functools
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from ...configs import (
    PROPAGATED,
    change_settings,
    config_path,
    evaluators,
    get_setting,
    load_config,
    type_name,
)
from ...openmmlab.engine import use_amp_in_testing, use_amp_in_training
from . import PAPER_TABLES, study_file

# The parts of a config that decide how a model is trained and tested, and what in them does not.
FINGERPRINTED = (
    *('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'randomness'),
    *('custom_hooks', 'test_dataloader', 'test_cfg', 'test_evaluator', 'default_scope'),
)
IGNORED_IN_FINGERPRINT = {
    *('data_root', 'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor'),
    *('val_interval', 'val_begin', '_scope_'),
}
# The settings that define a row of Tables 1 and 2, on any data set.
TRANSFERRED = dict(
    bal=[
        f'model.decode_head.loss_decode.{name}'
        for name in ('kernel', 'kernel_size', 'sigma', 'beta', 'downsample')
    ],
    pac=['model.decode_head.rates', 'model.decode_head.merge'],
)


@dataclass(frozen=True)
class Row:
    """One line of a study's table; ``options`` are those of ``--cfg-options``.

    ``takes`` maps dotted names of settings to other configs, whose values replace those of
    ``config``, so that a row of an ablation on VOC runs with another data set's own config.
    ``reported`` is the mIoU that the paper states, ``reported_difference`` its difference to the
    baseline if the paper states only that; both in points, on VOC 2012.
    """

    name: str
    config: str
    takes: dict[str, str] = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    reported: float | None = None
    reported_difference: float | None = None


@dataclass(frozen=True)
class Study:
    name: str
    dataset: str
    baseline: str
    rows: dict[str, Row]
    seeds: tuple[int, ...] = (0, 1, 2)

    def reported_difference(self, name: str) -> float | None:
        """The paper's difference between a row and its baseline, in points of mIoU."""
        row, base = self.rows[name], self.rows[self.baseline]
        if row.reported is None or base.reported is None or row is base:
            return row.reported_difference
        return round(row.reported - base.reported, 2)


@dataclass(frozen=True)
class Run:
    """A row trained with one seed; every process reads batches of the config's size.

    ``options`` are those of the study's command that can change a score, ``data`` is what the run
    reads, :func:`.data.data_of`, if that is known, and ``problem`` why it cannot be read.
    """

    row: str
    seed: int
    cfg: Config
    processes: int = 1
    options: dict = field(default_factory=dict)
    data: dict | None = None
    problem: Exception | None = None

    @property
    def name(self) -> str:
        return f'{self.row}-seed{self.seed}'

    @property
    def iterations(self) -> int:
        return self.cfg.train_cfg.max_iters

    @property
    def fingerprint(self) -> str:
        """Equal for runs that train and test in the same way, in whatever study.

        It does not cover what cannot change a score: where the data is, how many workers read it
        (samples are seeded by position), and what is logged, kept and validated during training.
        What the data is stands beside it in a record, as ``data``.
        """
        settings = decisive_settings(self.cfg)
        if self.processes > 1:
            settings['processes'] = self.processes
        text = json.dumps(settings, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def load_study(name: str, dataset: str) -> Study:
    """Read a table of the paper, another shipped study, or a YAML file of the user's.

    A file holds ``baseline``, the name of a row; ``rows``, which maps names to the fields of a
    :class:`Row`; and, if the study has others than 0, 1 and 2, ``seeds``. ``{dataset}`` in the
    names of configs is replaced.
    """
    if name in PAPER_TABLES:
        return _study(name, dataset, **_paper_table(name))
    path = study_file(name)
    try:
        return _study(path.stem, dataset, **yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'study {path} must map baseline to a name, rows to names with a config each and, if '
            f'you like, seeds to a list: {error!r}'
        ) from error


def _study(
    name: str, dataset: str, baseline: str, rows: dict, seeds: Sequence[int] = (0, 1, 2)
) -> Study:
    if baseline not in rows:
        raise ValueError(
            f'study {name}: baseline {baseline!r} is not one of its rows, {", ".join(rows)}'
        )
    built = {
        row: Row(row, **dict(fields, config=fields['config'].format(dataset=dataset)))
        for row, fields in rows.items()
    }
    return Study(name, dataset, baseline, built, tuple(seeds))


def _paper_table(name: str) -> dict:
    """A table of the paper as a study: its rows after the baseline of Table 3."""
    tables = yaml.safe_load(Path(config_path('ablation/paper_tables.yml')).read_text())
    rows: dict[str, dict] = {'deeplabv3': dict(config='deeplabv3_{dataset}.py')}
    for row in tables[PAPER_TABLES[name]]:
        if 'mIoU' in row:
            rows[row['name']] = dict(config=row['name'] + '_{dataset}.py', reported=row['mIoU'])
        else:
            family = row['name'].partition('_')[0]  # bal or pac
            rows[row['name']] = dict(
                config=family + '_{dataset}.py',
                takes=dict.fromkeys(TRANSFERRED[family], f'ablation/{row["name"]}.py'),
                reported_difference=row['delta_mIoU'],
            )
    return dict(baseline='deeplabv3', rows=rows)


def plan_runs(
    study: Study,
    rows: Iterable[str],
    seeds: Sequence[int],
    options: dict,
    processes: int = 1,
    amp: str | None = None,
) -> list[Run]:
    """The runs of a study, seed by seed, so that a study that is stopped early compares all rows.

    ``options`` are those of ``--cfg-options``; a row's own come after them. ``amp`` is the kind of
    device, ``'cpu'`` or ``'cuda'``, that computes in mixed precision.
    """
    if processes < 1:
        raise ValueError(f'a run takes 1 process or more, but got {processes}')
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds must be 0 or more, each given once, but got {list(seeds)}')
    for name in rows:
        if name not in study.rows:
            names = ', '.join(study.rows)
            raise ValueError(f'study {study.name} has no row {name!r}; it has {names}')
    given = _decisive_options(options, processes, amp)
    with redirect_stdout(io.StringIO()) as said:
        runs = [
            Run(name, seed, _config(study.rows[name], seed, options, amp), processes, given)
            for seed in seeds
            for name in rows
        ]
    # A setting that is copied to other places is told once, not for every run.
    print(''.join(dict.fromkeys(said.getvalue().splitlines(keepends=True))), end='')
    return runs


def decisive_settings(cfg: Config) -> dict:
    """The settings of a config that can change a score."""
    decisive = {key: cfg[key] for key in FINGERPRINTED if key in cfg}
    return _without(Config(decisive).to_dict(), IGNORED_IN_FINGERPRINT)


def _decisive_options(options: dict, processes: int, amp: str | None) -> dict:
    """The options of a command that can change a score, for the records of its runs."""
    given = {
        name: _without(value, IGNORED_IN_FINGERPRINT)
        for name, value in options.items()
        if name.partition('.')[0] in (*FINGERPRINTED, *PROPAGATED)
        and IGNORED_IN_FINGERPRINT.isdisjoint(name.split('.'))
    }
    if processes > 1:
        given['--processes'] = processes
    if amp:
        given['--amp'] = amp
    return given


def _config(row: Row, seed: int, options: dict, amp: str | None) -> Config:
    taken = {name: get_setting(_load(place), name) for name, place in row.takes.items()}
    cfg = copy.deepcopy(_load(row.config))  # parsing takes longer than all else here
    change_settings(cfg, options | taken | row.options | {'randomness.seed': seed})
    metrics = evaluators(cfg)
    if all(type_name(metric) != 'BoundaryMetric' for metric in metrics):
        metrics.append(dict(type='BoundaryMetric'))
    cfg.test_evaluator = metrics
    if amp:
        use_amp_in_training(cfg, amp)
        use_amp_in_testing(cfg, amp)
    return cfg


@functools.cache
def _load(name: str) -> Config:
    """A user's config, or a shipped one."""
    return load_config(name if Path(name).is_file() else config_path(name))


def _without(node: Any, names: set[str]) -> Any:
    """A tree without the entries of these names."""
    if isinstance(node, dict):
        return {key: _without(value, names) for key, value in node.items() if key not in names}
    return [_without(child, names) for child in node] if isinstance(node, (list, tuple)) else node
