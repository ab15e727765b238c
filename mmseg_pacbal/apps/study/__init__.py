"""Studies: comparisons of configs over several seeds (docs/study_plan.md)."""

from pathlib import Path

from ...configs import config_path

# Studies of the paper and their names in configs/ablation/paper_tables.yml.
PAPER_TABLES = dict(table1='table_1', table2='table_2', table3='table_3')


def study_file(name: str) -> Path:
    """A YAML file of the user's, or the one shipped under a name; the paper's tables share one."""
    path = Path(name)
    if name in PAPER_TABLES:
        return Path(config_path('ablation/paper_tables.yml'))
    if path.suffix not in ('.yml', '.yaml'):
        path = Path(config_path('studies/learning_rate.yml')).with_stem(name)
    if not path.is_file():
        shipped = [*PAPER_TABLES, *sorted(p.stem for p in path.parent.glob('*.yml'))]
        raise FileNotFoundError(
            f'there is no study {path}; give {", ".join(shipped)} or a YAML file of your own'
        )
    return path
