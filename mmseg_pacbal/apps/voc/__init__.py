"""PASCAL VOC 2012 with SBD's masks, from the official archives."""

from pathlib import Path
from urllib.parse import urlsplit

WEB = ('http', 'https')

VOC_URL = 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar'
SBD_URL = (
    'http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/'
    'benchmark.tgz'
)


def require_archive(source: str) -> None:
    """Raise FileNotFoundError unless an archive is a file or has a URL."""
    if urlsplit(source).scheme not in WEB and not Path(source).is_file():
        raise FileNotFoundError(
            f'{source} does not exist; give the path of a file or an http(s) URL'
        )


def require_devkit(folder: Path) -> None:
    """Raise FileNotFoundError unless a folder holds VOC2012."""
    if not (folder / 'VOC2012').is_dir():
        raise FileNotFoundError(f'{folder} holds no VOC2012; give the VOCdevkit folder as --out')
