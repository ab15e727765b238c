"""Make VOC 2012 with SBD's masks from the official archives.

The two archives are paths or URLs. Downloads go to downloads/ in --out; a download or a conversion
that was stopped continues where it stopped. Nothing that exists is overwritten. At the end, or as
the only step with --check, every image and mask is read and verified.
"""

import argparse
from pathlib import Path

from filelock import FileLock, Timeout

from ...openmmlab.data_checks.samples import report
from . import archives
from .download import fetch
from .layout import check_tree


def main(args: argparse.Namespace) -> None:
    devkit = Path(args.out)
    root = devkit / 'VOC2012'
    if not args.check:
        make(args, devkit)
    report(check_tree(root))
    print(f'{root} is complete: train with --cfg-options data_root={root}')


def make(args: argparse.Namespace, devkit: Path) -> None:
    devkit.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(devkit / '.lock', timeout=0):
            voc = fetch(args.voc, devkit / 'downloads', archives.VOC_MD5)
            sbd = fetch(args.sbd, devkit / 'downloads', archives.SBD_MD5)
            archives.prepare(voc, sbd, devkit / 'VOC2012')
    except Timeout:
        raise BlockingIOError(
            f'another pacbal prepare-voc writes to {devkit}; wait until it ends, or give another '
            '--out'
        ) from None
