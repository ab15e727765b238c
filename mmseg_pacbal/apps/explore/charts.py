"""Two light charts: HTML with a small SVG, made in a millisecond.

Matplotlib takes 60 to 160 ms for one, half of what a slider may take. Only the curves are stretched
to the width of the page; the words beside them keep their size.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

SIDE = 1000  # of the SVG's own square


class Curve(NamedTuple):
    """A line through points.

    Attributes:
        kind: Class of the SVG element, which gives the colour.
        x: From 0 to 1.
        y: From 0 to 1.
        filled: Whether the area below is tinted.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    filled: bool = False


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
    curves = [Curve(kind, x, line / top) for kind, line in lines.items()]
    strip = f'<div class="strip" style="background:linear-gradient(to right,{_stops(colours)})">'
    ticks = [(tick / length, f'{tick:g}') for tick in ticks_to(length, 5)]
    heights = [(tick / top, f'{tick:g}') for tick in ticks_to(top, 4)]
    return _chart(name, curves, ticks, heights, f'{axis} in pixels', f'{strip}</div>')


def histogram_chart(shares: dict[str, np.ndarray], top: float, name: str) -> str:
    """Shares of pixels over E_G from 0 to ``top``, on a root scale that shows small shares too."""
    largest = max(float(share.max()) for share in shares.values()) or 1.0
    curves = []
    for kind, share in shares.items():
        sides = np.repeat(np.linspace(0, 1, len(share) + 1), 2)[1:-1]
        curves.append(Curve(kind, sides, np.sqrt(np.repeat(share, 2) / largest), filled=True))
    ticks = [(tick / top, f'{tick:g}') for tick in ticks_to(top, 6)]
    levels = [s for s in (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8) if s <= largest][-4:]
    heights = [(float(np.sqrt(level / largest)), f'{level:.3g}') for level in levels]
    heights = [(place, f'{float(level) * 100:g} %') for place, level in heights]
    return _chart(name, curves, ticks, heights, 'weight')


def ticks_to(top: float, most: int) -> list[float]:
    """Round numbers from 0 to ``top``."""
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
    return [float(tick) for tick in ticks if 0 <= tick <= top]


def _stops(colours: np.ndarray) -> str:
    """The colours along a line as those of a CSS gradient with hard stops."""
    changes = np.flatnonzero((colours[1:] != colours[:-1]).any(1)) + 1
    starts, ends = [0, *changes.tolist()], [*changes.tolist(), len(colours)]
    return ','.join(
        f'rgb({",".join(map(str, colours[start].tolist()))}) '
        f'{100 * start / len(colours):.2f}% {100 * end / len(colours):.2f}%'
        for start, end in zip(starts, ends, strict=True)
    )


def _chart(
    name: str,
    curves: Sequence[Curve],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_name: str,
    strip: str = '',
) -> str:
    grid = ''.join(
        f'<line class="grid" x1="0" x2="{SIDE}" y1="{_down(place)}" y2="{_down(place)}"/>'
        for place, _ in y_ticks
    )
    left = ''.join(
        f'<span style="bottom:{100 * place:.2f}%">{text}</span>' for place, text in y_ticks
    )
    below = ''.join(
        f'<span style="left:{100 * place:.2f}%">{text}</span>' for place, text in x_ticks
    )
    return (
        f'<figure class="chart"><figcaption>{escape(name)}</figcaption>'
        f'<div class="plot"><div class="left">{left}</div>'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(name)}">{grid}{"".join(map(_path, curves))}</svg></div>'
        f'{strip}<div class="below">{below}</div><div class="axis">{escape(x_name)}</div></figure>'
    )


def _path(curve: Curve) -> str:
    x, y = curve.x * SIDE, (1 - curve.y.clip(0, 1)) * SIDE
    points = ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(x.tolist(), y.tolist(), strict=True))
    area = f'<polygon class="{curve.kind} area" points="0,{SIDE} {points} {SIDE},{SIDE}"/>'
    line = f'<polyline class="{curve.kind}" points="{points}"/>'
    return area + line if curve.filled else line


def _down(place: float) -> str:
    return f'{(1 - place) * SIDE:.1f}'
