"""Images to be labelled, and where their results go; label maps in a folder."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
MASKS, OVERLAYS, PROBABILITIES = 'masks', 'overlays', 'probabilities'  # folders of results


class Job(NamedTuple):
    """An image and where its results go."""

    path: Path
    out: Path
    title: str  # name of the results, without suffix

    @property
    def mask(self) -> Path:
        return self.out / MASKS / f'{self.title}.png'

    @property
    def overlay(self) -> Path:
        return self.out / OVERLAYS / f'{self.title}.jpg'

    def probability(self, label: int) -> Path:
        """The file of a class, in its own folder: no name of an image can look like a class."""
        return self.out / PROBABILITIES / str(label) / f'{self.title}.png'


def find_jobs(source: Path, out: Path) -> list[Job]:
    """The image, or every image below a folder except those among the results."""
    if not source.exists():
        raise FileNotFoundError(f'{source} does not exist; give an image or a folder of images')
    root = source.parent if source.is_file() else source
    candidates = [source] if source.is_file() else sorted(source.rglob('*'))
    results = {(out / name).resolve() for name in (MASKS, OVERLAYS, PROBABILITIES)}
    images = [
        path
        for path in candidates
        if path.is_file() and (path == source or path.suffix.lower() in SUFFIXES)
        if results.isdisjoint(path.resolve().parents)
    ]
    if not images:
        raise FileNotFoundError(
            f'{source} holds no images ({", ".join(SUFFIXES)}) besides the results in --out {out}'
        )
    return plan_results(images, root, out)


def plan_results(images: Sequence[Path], root: Path, out: Path) -> list[Job]:
    """Where the results of images below root go; no two results share a file."""
    names = {path.relative_to(root): path for path in images}
    stems = Counter(name.with_suffix('') for name in names)
    jobs = []
    for name, path in names.items():
        # With a.jpg and a.png in one folder, the results are a.jpg.png and a.png.png.
        stem = name.with_suffix('')
        title = stem if stems[stem] == 1 and stem not in names else name
        jobs.append(Job(path, out, str(title)))
    return jobs


def label_paths(folder: Path) -> list[Path]:
    """All label maps below a folder."""
    paths = sorted(folder.rglob('*.png'))
    if not paths:
        raise FileNotFoundError(f'{folder} holds no label map *.png; give a folder of label maps')
    return paths


def require_labels(folder: Path) -> None:
    """Raise FileNotFoundError unless there is such a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f'--labels {folder} does not exist; give a folder of label maps')
