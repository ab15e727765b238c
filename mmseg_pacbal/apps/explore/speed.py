"""How long a slider takes to be answered: python -m mmseg_pacbal.apps.explore.speed

Each time one argument of A moves to a value that was not used before, on a scene of 500 x 375
pixels with image and loss. Measured is all that the server computes, on one thread: weights,
figures, pictures, charts and texts; not the way to the browser and back.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator

import cv2
import numpy as np
import torch

from ...datasets.synthetic_scene import render_scene, void_rim
from .samples import Sample, full_palette
from .settings import Settings, config_text, python_text, settings_of
from .view import best_cut, view

SIZE = (375, 500)  # height and width of many of VOC's images


def main(rounds: int) -> str:
    """Median and 90 % quantile of the times, and the size of an answer."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image, label = render_scene(np.random.default_rng(0), SIZE)
    loss = np.random.default_rng(0).exponential(size=SIZE).astype(np.float32)
    sample = Sample('scene', void_rim(label), full_palette(()), image, loss)
    cut, other = best_cut(sample), settings_of({})
    view(sample, dict(A=other, B=other), cut)
    wall, cpu, size = [], [], 0
    for settings in moves(rounds):
        started = time.perf_counter(), time.process_time()
        html = view(sample, dict(A=settings, B=other), cut)
        texts = [config_text(settings), python_text(settings)]
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
        size = len(html) + sum(map(len, texts))
    lines = [
        f'{name}: median {1000 * np.median(times):.0f} ms, '
        f'90 % below {1000 * np.quantile(times, 0.9):.0f} ms'
        for name, times in (('time', wall), ('CPU time', cpu))
    ]
    return '\n'.join([*lines, f'answer: {size / 1000:.0f} kB; {len(wall)} moves'])


def moves(rounds: int) -> Iterator[Settings]:
    """Settings that each differ from the defaults in one argument or two, and from each other."""
    start = settings_of({})
    for k in range(rounds):
        yield dataclasses.replace(start, sigma=3.1 + k / 10)
        yield dataclasses.replace(start, beta=0.55 + k / 20)
        yield dataclasses.replace(start, kernel_size=37 + 2 * k)
        yield dataclasses.replace(start, downsample=1 + k % 8, sigma=1.01 + k / 10)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='How long a slider takes to be answered')
    parser.add_argument('--rounds', type=int, default=10, help='moves of each slider')
    print(main(parser.parse_args().rounds))
