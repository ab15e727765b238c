"""Errors of two models over several seeds: python tools/compare_errors.py DIR [DIR ...]

Each DIR holds what tools/analyze_errors.py --compare wrote for one seed. Prints a Markdown table:
for each measure and region the means of both models, and the difference with its 95 % interval
over the seeds (Student's, of paired differences).
"""

import mmseg_pacbal.apps  # noqa: F401 (first: it says what to install)

# isort: split
import argparse
from pathlib import Path

from mmseg_pacbal.apps import cli
from mmseg_pacbal.apps.error_summary import error_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Errors of two models over several seeds')
    parser.add_argument('folders', nargs='+', type=Path, metavar='DIR', help='results of one seed')
    parser.add_argument('--traceback', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    print(error_table(args.folders))


if __name__ == '__main__':
    cli.run(main, parse_args())
