"""What the page shows of one label under two settings, as HTML."""

import math
from collections.abc import Mapping

import numpy as np

from ...visualization import paint
from .drawing import data_uri, heat_picture, histogram_chart, overlay, profile_chart
from .samples import LabelSample
from .settings import Settings
from .weights import OFFSET_SIDE, offset_effect, weights

WAYS = ('row', 'column')  # of the profile, in the order of the label's axes
GREYS = np.array([24, 150, 205, 255], np.uint8)  # of E = 0, 1, 2, 3
TITLE = '{kernel}, size {kernel_size}, {width}beta {beta:g}, downsample {downsample}'


def view(
    sample: LabelSample, settings: Mapping[str, Settings], way: str, position: int, same: bool
) -> str:
    """Pictures, figures and charts of a label under the settings ``'A'`` and ``'B'``.

    The profile runs along a row or a column; one beyond the label is its last one. With ``same``,
    the largest weight of both is the brightest colour of both, unless only one is normalised.
    """
    maps = {side: weights(sample, each)[1] for side, each in settings.items()}
    tops = {side: float(weight.max()) or 1.0 for side, weight in maps.items()}
    top, axis = max(tops.values()), WAYS.index(way)
    if same and len({each.normalize for each in settings.values()}) == 1:
        tops = dict.fromkeys(tops, top)
    colours = paint(sample.label, [*sample.palette], settings['A'].ignore_index)
    length = sample.label.shape[axis]
    line = min(position, length - 1)
    profiles = {side: weight.take(line, axis) for side, weight in maps.items()}
    values = {s: maps[s][sample.label != each.ignore_index] for s, each in settings.items()}
    across, along = 'yx'[axis], 'xy'[axis]
    title = f'Weights along {way} {across} = {line}'
    pairs = [
        [_card(side, sample, each, colours, tops[side]) for side, each in settings.items()],
        [
            profile_chart(title, profiles, colours.take(line, axis), along),
            histogram_chart('Share of the pixels with each weight', values, top),
        ],
        [_offsets(side, sample, each) for side, each in settings.items()],
    ]
    share = f'{(line + 0.5) / length:.2%}'
    return (
        f'<div class="explore {way}" data-lines="{length}" style="--cut:{share}">'
        f'<div class="top">{_given(sample, colours, settings["A"].ignore_index)}</div>'
        + ''.join(f'<div class="pair">{"".join(pair)}</div>' for pair in pairs)
        + '</div>'
    )


def _given(sample: LabelSample, colours: np.ndarray, void: int) -> str:
    """Image, label and loss."""
    classes = int((np.unique(sample.label) != void).sum())
    size = '{1} x {0}'.format(*sample.label.shape)
    text = f'{classes} class{"es" * (classes != 1)}, {(sample.label == void).mean():.1%} void'
    label = data_uri(colours, exact=True)
    if sample.image is None:
        html = _figure('label', label, f'Label, {size}, {text}')
    else:
        html = _figure('image', data_uri(sample.image), f'Image, {size}')
        html += _figure('label', label, f'Label, {text}')
    return html if sample.loss is None else html + _loss('loss', sample.loss, 'Cross entropy')


def _card(
    side: str, sample: LabelSample, settings: Settings, colours: np.ndarray, top: float
) -> str:
    """A setting with its figures, its weights, the edges and, with a loss, the weighted loss."""
    edges, weight = weights(sample, settings)
    symbol = 'E<sub>G</sub>' + ' / mean' * (settings.normalize is not None)
    below, name = (colours, 'label') if sample.image is None else (sample.image, 'image')
    shown = data_uri(overlay(below, weight, top))
    pictures = _figure('weight', shown, f'{symbol} over the {name}', top)
    text = f'Edges E, {np.count_nonzero(edges) / edges.size:.1%} of the pixels'
    pictures += _figure('edges', data_uri(GREYS[edges], exact=True), text)
    if sample.loss is not None:
        pictures += _loss('weighted', sample.loss * weight, f'{symbol} times cross entropy')
    width = f'sigma {settings.sigma:g}, ' if settings.kernel != 'linear' else ''
    facts = ''.join(
        f'<dt>{term}</dt><dd data-fact="{term.split()[0].lower()}">{fact}</dd>'
        for term, fact in _facts(sample, settings).items()
    )
    return (
        f'<section class="card {side}"><h3><b>{side}</b> '
        f'{TITLE.format(**settings._asdict(), width=width)}</h3><dl>{facts}</dl>{pictures}'
        '</section>'
    )


def _facts(sample: LabelSample, settings: Settings) -> dict[str, str]:
    reach = settings.kernel_size * settings.downsample
    blur = f'{reach} px, {reach / max(sample.label.shape):.0%} of the longer side'
    if settings.kernel == 'gaussian':
        deviation = math.sqrt(settings.kernel_size * settings.sigma / 2) * settings.downsample
        blur += f'; std {deviation:.0f} px'
    valid = sample.label != settings.ignore_index
    if not valid.any():
        return {'Mean weight': 'none: every pixel is void', 'Blur': blur}
    values = weights(sample, settings)[1][valid]
    mean = values.mean(dtype=np.float64)
    effect = f'acts like a learning rate x {mean:.1f}'
    if settings.normalize is not None:
        literal = weights(sample, settings._replace(normalize=None))[1][valid]
        effect = f'(x {literal.mean(dtype=np.float64):.1f} without normalize)'
    return {
        'Mean weight': f'<b>{mean:.2f}</b> {effect}',
        'Below 1': f'<b>{(values < 1).mean():.1%}</b> count less than in cross entropy',
        'Range': f'{values.min():.2f} to {values.max():.2f}',
        'Blur': blur,
    }


def _loss(kind: str, loss: np.ndarray, name: str) -> str:
    top = float(np.percentile(loss, 99.5)) or 1.0
    return _figure(kind, data_uri(heat_picture(loss, top)), f'{name}, mean {loss.mean():.3f}', top)


def _figure(kind: str, address: str, caption: str, top: float | None = None) -> str:
    bar = f'<div class="bar"><span>0</span><i></i><span>{top:.1f}</span></div>' if top else ''
    return (
        f'<figure class="picture {kind}"><figcaption>{caption}</figcaption>'
        f'<div class="frame"><img src="{address}" alt="{kind}"></div>{bar}</figure>'
    )


def _offsets(side: str, sample: LabelSample, settings: Settings) -> str:
    """What ``antialias`` does at the offset of this label, and at the others."""
    title = f'<section class="offsets {side}"><h4><b>{side}</b> Antialiasing</h4>'
    step = settings.downsample
    if step == 1:
        text = 'downsample=1 does not shrink the edges, so antialias changes nothing.'
        return f'{title}<p>{text}</p></section>'
    on, off = (offset_effect(sample, settings._replace(antialias=each)) for each in (True, False))
    rows = ''.join(
        f'<tr><th>{k}</th>{"".join(f"<td>{value:.2f}</td>" for value in row)}</tr>'
        for k, row in enumerate(zip(on[0], off[0], on[1], off[1], strict=True))
    )
    names = ('offset', 'mean, on', 'mean, off', 'peak, on', 'peak, off')
    head = ''.join(f'<th>{name}</th>' for name in names)
    cropped = max(sample.label.shape) > OFFSET_SIDE
    where = f' (its middle, {OFFSET_SIDE} pixels at most)' if cropped else ''
    return (
        f'{title}<p>If the label{where} lay 0 to {step - 1} pixels further right and down, a '
        f'pixel’s weight would vary by <b>{on[2]:.1%}</b> with <code>antialias=True</code> '
        f'and by <b>{off[2]:.1%}</b> with <code>antialias=False</code>.</p>'
        f'<table class="{"on" if settings.antialias else "off"}"><tr>{head}</tr>{rows}</table>'
        '</section>'
    )
