"""What the page shows of one label under two settings, as HTML."""

import math
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import NamedTuple

import numpy as np

from .charts import histogram_chart, profile_chart
from .pictures import data_uri, edge_picture, heat_picture, label_picture, overlay
from .samples import Sample
from .settings import Settings
from .statistics import (
    OFFSET_SIDE,
    OffsetEffect,
    Weights,
    best_line,
    figures,
    histogram,
    line_of,
    offset_effect,
    weights,
)


class Cut(NamedTuple):
    """The row, or the column, of the profile."""

    position: int
    column: bool = False


def best_cut(sample: Sample, column: bool = False) -> Cut:
    """The cut that crosses the most boundaries."""
    return Cut(best_line(sample.label, column), column)


def view(sample: Sample, settings: dict[str, Settings], cut: Cut, same_scale: bool = True) -> str:
    """Pictures, figures and charts.

    Args:
        sample: The label, with its image and its loss if there are any.
        settings: Those of ``'A'`` and of ``'B'``.
        cut: The line of the profile; one beyond the label is its last one.
        same_scale: Whether the largest weight of both settings is the brightest colour of both. If
            only one of them is normalised, their colours differ all the same.
    """
    found = {name: weights(sample, each) for name, each in settings.items()}
    peaks = {name: float(each.weight.max()) or 1.0 for name, each in found.items()}
    top = max(peaks.values())
    shared = same_scale and len({each.normalize for each in settings.values()}) == 1
    cut = Cut(min(cut.position, sample.label.shape[1 if cut.column else 0] - 1), cut.column)
    cards = ''.join(
        _card(name, sample, each, found[name], cut, top if shared else peaks[name])
        for name, each in settings.items()
    )
    return (
        f'<div class="explore"><div class="top">{_top(sample, settings["A"], cut)}</div>'
        f'<div class="pair">{cards}</div>'
        f'<div class="pair">{_charts(sample, settings["A"], found, cut, top)}</div>'
        f'<div class="pair">{"".join(_offsets(n, sample, s) for n, s in settings.items())}</div>'
        '</div>'
    )


def message(sentence: str, mistake: bool = False) -> str:
    """A sentence for the line below the choice of the label; empty for none."""
    role = 'alert' if mistake else 'status'
    return f'<p class="message {role}" role="{role}">{escape(sentence)}</p>' if sentence else ''


def _describe(sample: Sample, ignore_index: int) -> str:
    classes = int((np.unique(sample.label) != ignore_index).sum())
    void = float((sample.label == ignore_index).mean())
    plural = '' if classes == 1 else 'es'
    size = '' if sample.image is not None else ', {1} x {0}'.format(*sample.label.shape)
    return f'Label{size}, {classes} class{plural}, {void:.1%} void'


def _top(sample: Sample, settings: Settings, cut: Cut) -> str:
    shape = sample.label.shape
    parts = []
    if sample.image is not None:
        parts.append(
            _picture(
                'image', data_uri(sample.image), f'Image, {shape[1]} x {shape[0]}', '', cut, shape
            )
        )
    label = data_uri(label_picture(sample, settings.ignore_index), exact=True)
    parts.append(_picture('label', label, _describe(sample, settings.ignore_index), '', cut, shape))
    if sample.loss is not None:
        top = float(np.percentile(sample.loss, 99.5)) or 1.0
        text = f'Cross entropy, mean {sample.loss.mean():.3f}'
        parts.append(_loss('loss', sample.loss, top, text, cut, shape))
    return ''.join(parts)


def _card(
    name: str, sample: Sample, settings: Settings, found: Weights, cut: Cut, top: float
) -> str:
    shape, over = sample.label.shape, 'image' if sample.image is not None else 'label'
    picture = data_uri(overlay(sample, found.weight, top, settings.ignore_index))
    symbol = 'E<sub>G</sub>' if settings.normalize is None else 'E<sub>G</sub> / mean'
    pictures = _picture('weight', picture, f'{symbol} over the {over}', _bar(top), cut, shape)
    edges = float((found.edges > 0).mean())
    small = _picture(
        'edges',
        data_uri(edge_picture(found.edges), exact=True),
        f'Edges E, {edges:.1%} of the pixels',
        '',
        cut,
        shape,
    )
    if sample.loss is not None:
        loss = sample.loss * found.weight
        highest = float(np.percentile(loss, 99.5)) or 1.0
        text = f'{symbol} times cross entropy, mean {loss.mean():.3f}'
        small += _loss('weighted', loss, highest, text, cut, shape)
    return (
        f'<section class="card {name}"><h3><b>{name}</b> {_title(settings)}</h3>'
        f'{_facts(sample, settings)}{pictures}<div class="small">{small}</div>'
        '</section>'
    )


def _title(settings: Settings) -> str:
    width = f', sigma {settings.sigma:g}' if settings.kernel == 'gaussian' else ''
    return (
        f'{settings.kernel}, size {settings.kernel_size}{width}, beta {settings.beta:g}, '
        f'downsample {settings.downsample}'
    )


def _facts(sample: Sample, settings: Settings) -> str:
    found = figures(weights(sample, settings))
    reach = settings.kernel_size * settings.downsample
    blur = f'{reach} px, {reach / max(sample.label.shape):.0%} of the longer side'
    if settings.kernel == 'gaussian':
        deviation = math.sqrt(settings.kernel_size * settings.sigma / 2) * settings.downsample
        blur += f'; std {deviation:.0f} px'
    if math.isnan(found.mean):
        facts = [('mean', 'Mean weight', 'none: every pixel is void'), ('blur', 'Blur', blur)]
    else:
        mean = f'<b>{found.mean:.2f}</b> acts like a learning rate x {found.mean:.1f}'
        if settings.normalize is not None:
            literal = figures(weights(sample, replace(settings, normalize=None))).mean
            mean = f'<b>{found.mean:.2f}</b> (x {literal:.1f} without normalize)'
        below = f'<b>{found.below_one:.1%}</b> count less than in cross entropy'
        facts = [
            ('mean', 'Mean weight', mean),
            ('below', 'Below 1', below),
            ('range', 'Range', f'{found.least:.2f} to {found.peak:.2f}'),
            ('blur', 'Blur', blur),
        ]
    rows = ''.join(f'<dt>{term}</dt><dd data-fact="{key}">{text}</dd>' for key, term, text in facts)
    return f'<dl>{rows}</dl>'


def _charts(
    sample: Sample, settings: Settings, found: dict[str, Weights], cut: Cut, top: float
) -> str:
    lines = {name: line_of(each.weight, *cut) for name, each in found.items()}
    colours = line_of(label_picture(sample, settings.ignore_index), *cut)
    highest = max(float(line.max()) for line in lines.values()) or 1.0
    kind = 'column x' if cut.column else 'row y'
    title = f'Weights along {kind} = {cut.position}'
    profile = profile_chart(lines, colours, highest, 'y' if cut.column else 'x', title)
    shares = {name: histogram(each, top) for name, each in found.items()}
    return profile + histogram_chart(shares, top, 'Share of the pixels with each weight')


def _offsets(name: str, sample: Sample, settings: Settings) -> str:
    """What ``antialias`` does at the offset of this label, and at the others."""
    title = f'<h4><b>{name}</b> Antialiasing</h4>'
    if settings.downsample == 1:
        text = 'downsample=1 does not shrink the edges, so antialias changes nothing.'
        return f'<section class="offsets {name}">{title}<p>{text}</p></section>'
    effects = {on: offset_effect(sample, settings, on) for on in (True, False)}
    head = ''.join(f'<th>{k}</th>' for k in range(settings.downsample))
    rows = ''.join(
        _row(what, on, get(effect), on == settings.antialias)
        for what, get in _MEASURES.items()
        for on, effect in effects.items()
    )
    cropped = max(sample.label.shape) > OFFSET_SIDE
    where = f' (its middle, {OFFSET_SIDE} pixels at most)' if cropped else ''
    return (
        f'<section class="offsets {name}">{title}'
        f'<p>If the label{where} lay 0 to {settings.downsample - 1} pixels further right and down, '
        f'a pixel’s weight would vary by <b data-fact="spread-on">{effects[True].spread:.1%}</b> '
        f'with <code>antialias=True</code> and by <b data-fact="spread-off">'
        f'{effects[False].spread:.1%}</b> with <code>antialias=False</code>.</p>'
        f'<div class="scroll"><table><tr><th>E<sub>G</sub></th><th>antialias</th>{head}</tr>{rows}'
        '</table></div></section>'
    )


_MEASURES: dict[str, Callable[[OffsetEffect], list[float]]] = {
    'mean': lambda effect: effect.mean,
    'peak': lambda effect: effect.peak,
}


def _row(what: str, on: bool, values: list[float], current: bool) -> str:
    cells = ''.join(f'<td>{value:.2f}</td>' for value in values)
    mark = ' class="current"' if current else ''
    return f'<tr{mark}><th>{what}</th><th>{on}</th>{cells}</tr>'


def _loss(
    kind: str, loss: np.ndarray, top: float, text: str, cut: Cut, shape: tuple[int, ...]
) -> str:
    return _picture(kind, data_uri(heat_picture(loss, top)), text, _bar(top), cut, shape)


def _picture(
    kind: str, address: str, caption: str, below: str, cut: Cut, shape: tuple[int, ...]
) -> str:
    place = 100 * (cut.position + 0.5) / shape[1 if cut.column else 0]
    side, way = ('left', 'column') if cut.column else ('top', 'row')
    return (
        f'<figure class="picture {kind}"><figcaption>{caption}</figcaption>'
        f'<div class="frame"><img src="{address}" alt="{kind}">'
        f'<i class="cut {way}" style="{side}:{place:.2f}%"></i></div>{below}</figure>'
    )


def _bar(top: float) -> str:
    return f'<div class="bar"><span>0</span><i></i><span>{top:.1f}</span></div>'
