"""How long a slider takes to be answered: python -m mmseg_pacbal.apps.explore.speed

Each time one argument of A moves to a value that was not used before, on a scene of 500 x 375
pixels with image and loss. Measured is all that the server computes, on one thread; not the way to
the browser and back.
"""

import argparse
import time

import cv2
import numpy as np
import torch

from ...datasets.synthetic_scene import render_scene, void_rim
from .samples import LabelSample, full_palette
from .settings import DEFAULTS
from .view import view

SIZE = (375, 500)  # height and width of many of VOC's images


def main(rounds: int = 10) -> str:
    """Median and 90 % quantile of the times."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image, label = render_scene(np.random.default_rng(0), SIZE)
    loss = np.random.default_rng(0).exponential(size=SIZE).astype(np.float32)
    sample = LabelSample(void_rim(label), full_palette(()), image, loss)
    moves: list[dict] = [{}]  # the first is a warm-up
    for k in range(rounds):
        moves += [dict(sigma=3.1 + k / 10), dict(beta=0.55 + k / 20), dict(kernel_size=37 + 2 * k)]
        moves += [dict(downsample=1 + k % 8, sigma=1.01 + k / 10)]
    times = []
    for move in moves:
        start = time.perf_counter()
        view(sample, dict(A=DEFAULTS._replace(**move), B=DEFAULTS), 'row', SIZE[0] // 2, True)
        times.append(time.perf_counter() - start)
    median, most = np.quantile(times[1:], (0.5, 0.9)) * 1000
    return f'time: median {median:.0f} ms, 90 % below {most:.0f} ms'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='How long a slider takes to be answered')
    parser.add_argument('--rounds', type=int, default=10, help='moves of each slider')
    print(main(parser.parse_args().rounds))
