"""Two light charts: HTML with a small SVG, made in a millisecond.

Matplotlib takes 30 ms of CPU time for one, and Gradio's ``LinePlot`` has neither the strip of
colours nor the root scale. Only the curves are stretched to the width of the page.
"""

from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

from .pictures import data_uri

SIDE = 1000  # of the SVG's own square
LEVELS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8)  # shares at which the histogram may have a line


def profile_chart(
    lines: dict[str, np.ndarray], colours: np.ndarray, top: float, axis: str, name: str
) -> str:
    """E_G along a line of the label, above a strip with the label's colours.

    Args:
        lines: E_G of each setting.
        colours: RGB of the label along the line, uint8 (length, 3).
        top: Largest weight shown.
        axis: ``'x'`` for a row, ``'y'`` for a column.
        name: Title.
    """
    length = len(colours)
    x = (np.arange(length) + 0.5) / length
    curves = ''.join(
        f'<polyline class="{side}" points="{_points(x, line / top)}"/>'
        for side, line in lines.items()
    )
    strip = f'<img class="strip" src="{data_uri(colours[None], exact=True)}" alt="classes">'
    heights = {f'{tick:g}': tick / top for tick in ticks_to(top, 4)}
    return _chart(name, curves, heights, length, 5, f'{axis} in pixels', strip)


def histogram_chart(shares: dict[str, np.ndarray], top: float, name: str) -> str:
    """Shares of pixels over E_G from 0 to ``top``, on a root scale that shows small shares too."""
    largest = max(float(share.max()) for share in shares.values()) or 1.0
    curves = ''
    for side, share in shares.items():
        sides = np.repeat(np.linspace(0, 1, len(share) + 1), 2)[1:-1]
        points = _points(sides, np.sqrt(np.repeat(share, 2) / largest))
        curves += f'<polygon class="{side}" points="0,{SIDE} {points} {SIDE},{SIDE}"/>'
        curves += f'<polyline class="{side}" points="{points}"/>'
    levels = [level for level in LEVELS if level <= largest][-4:]
    heights = {f'{100 * level:g} %': (level / largest) ** 0.5 for level in levels}
    return _chart(name, curves, heights, top, 6, 'weight')


def ticks_to(top: float, most: int) -> list[float]:
    """Round numbers from 0 to ``top``."""
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
    return [float(tick) for tick in ticks if 0 <= tick <= top]


def _chart(
    name: str,
    curves: str,
    heights: dict[str, float],
    end: float,
    most: int,
    axis: str,
    strip: str = '',
) -> str:
    """Curves with lines at some heights, from 0 to 1, and ticks from 0 to the end of the axis."""
    grid = left = ''
    for text, y in heights.items():
        grid += f'<path class="grid" d="M0 {(1 - y) * SIDE:.1f}h{SIDE}"/>'
        left += f'<span style="bottom:{y:.2%}">{text}</span>'
    below = ''.join(
        f'<span style="left:{tick / end:.2%}">{tick:g}</span>' for tick in ticks_to(end, most)
    )
    return (
        f'<figure class="chart"><figcaption>{escape(name)}</figcaption>'
        f'<div class="plot"><div class="left">{left}</div>'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(name)}">{grid}{curves}</svg></div>'
        f'{strip}<div class="below">{below}</div><div class="axis">{axis}</div></figure>'
    )


def _points(x: np.ndarray, y: np.ndarray) -> str:
    """Points of the square, from x and y between 0 and 1."""
    pairs = np.stack([x, 1 - y.clip(0, 1)], axis=1) * SIDE
    return ' '.join(f'{a:.1f},{b:.1f}' for a, b in pairs.tolist())
