"""Pictures and charts as HTML, made in milliseconds; Matplotlib takes 30 ms for a chart.

Gradio's ``LinePlot`` has neither the strip of colours nor the root scale.
"""

import base64

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

LONGEST = 1000  # pixels of a picture on the page
FLATTEST = 4  # its longer side over its shorter one, at most
HEAT, GREY = 0.75, 0.45  # shares of the weights and of the image in an overlay
WIDTH, HEIGHT = 360, 160  # of the area of a chart with the curves
BINS = 48  # of the histogram
LEVELS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8)  # shares at which the histogram may have a line


def heat_picture(field: np.ndarray, top: float) -> np.ndarray:
    """A map from 0 (dark) to ``top`` (bright), RGB."""
    scaled = (field * (255 / top)).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def overlay(below: np.ndarray, weight: np.ndarray, top: float) -> np.ndarray:
    """Weights over a picture in grey, RGB."""
    grey = cv2.cvtColor(cv2.cvtColor(below, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(heat_picture(weight, top), HEAT, grey, GREY, 0)


def data_uri(picture: np.ndarray, exact: bool = False) -> str:
    """A picture, uint8 (H, W, 3) in RGB or (H, W), as the address of an image that needs no file.

    A large one is shrunk, and one of a single row is enlarged so that it can be seen. ``exact``
    keeps every pixel (PNG), for pictures of few colours; else it is a JPEG.
    """
    longest = max(picture.shape[:2])
    shown = min(LONGEST, longest)
    sides = [round(n * shown / longest) for n in picture.shape[:2]]
    height, width = (max(1, side, shown // FLATTEST) for side in sides)
    if (height, width) != picture.shape[:2]:
        way = cv2.INTER_NEAREST if exact else cv2.INTER_AREA
        picture = cv2.resize(picture, (width, height), interpolation=way)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    kind, option = 'jpeg', [cv2.IMWRITE_JPEG_QUALITY, 88]
    if exact:
        kind, option = 'png', [cv2.IMWRITE_PNG_COMPRESSION, 1]
    data = cv2.imencode(f'.{kind}', picture, option)[1].tobytes()
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def profile_chart(title: str, lines: dict[str, np.ndarray], colours: np.ndarray, axis: str) -> str:
    """E_G of each setting along a line of the label, above the label's colours, uint8 (n, 3)."""
    top = max(float(line.max()) for line in lines.values()) or 1.0
    x = (np.arange(len(colours)) + 0.5) / len(colours)
    curves = ''.join(_curve(f'{side} line', x, line / top) for side, line in lines.items())
    curves += (
        f'<image href="{data_uri(colours[None], exact=True)}" y="{HEIGHT}" width="{WIDTH}" '
        'height="8" preserveAspectRatio="none"/>'
    )
    heights = {f'{tick:g}': tick / top for tick in ticks_to(top)}
    return _chart(title, curves, heights, len(colours), f'{axis} in pixels')


def histogram_chart(title: str, values: dict[str, np.ndarray], top: float) -> str:
    """Shares of the pixels over E_G from 0 to ``top``, on a root scale: small ones are seen too."""
    counts = {side: np.histogram(each, BINS, (0, top))[0] for side, each in values.items()}
    shares = {side: count / max(1, len(values[side])) for side, count in counts.items()}
    largest = max(float(share.max()) for share in shares.values()) or 1.0
    x = np.repeat(np.linspace(0, 1, BINS + 1), 2)
    curves = ''.join(
        _curve(side, x, np.sqrt(np.pad(np.repeat(share, 2), 1) / largest))
        for side, share in shares.items()
    )
    levels = [level for level in LEVELS if level <= largest][-4:]
    heights = {f'{100 * level:g} %': (level / largest) ** 0.5 for level in levels}
    return _chart(title, curves, heights, top, 'weight')


def ticks_to(top: float) -> list[float]:
    """Round numbers from 0 to ``top``."""
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
    return [float(tick) for tick in ticks if 0 <= tick <= top]


def _chart(title: str, curves: str, heights: dict[str, float], end: float, axis: str) -> str:
    """Curves, lines at some heights from 0 to 1, and ticks from 0 to the end of the axis."""
    marks = ''.join(
        f'<path d="M0 {HEIGHT * (1 - y):.1f}h{WIDTH}"/>'
        f'<text class="left" x="-5" y="{HEIGHT * (1 - y):.1f}">{text}</text>'
        for text, y in heights.items()
    )
    marks += ''.join(
        f'<text x="{WIDTH * tick / end:.1f}" y="{HEIGHT + 20}">{tick:g}</text>'
        for tick in ticks_to(end)
    )
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<svg viewBox="-40 -8 {WIDTH + 50} {HEIGHT + 46}" role="img" aria-label="{title}">{marks}'
        f'{curves}<text x="{WIDTH / 2}" y="{HEIGHT + 35}">{axis}</text></svg></figure>'
    )


def _curve(name: str, x: np.ndarray, y: np.ndarray) -> str:
    """A curve from x and y between 0 and 1."""
    points = np.stack([WIDTH * x, HEIGHT * (1 - y.clip(0, 1))], axis=1).tolist()
    return f'<polyline class="{name}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'
