"""What the page shows of one label under two settings, as HTML."""

import math
from dataclasses import replace
from html import escape
from typing import NamedTuple

import numpy as np

from .charts import histogram_chart, profile_chart
from .pictures import data_uri, edge_picture, heat_picture, label_picture, overlay
from .samples import LabelSample
from .settings import Settings
from .statistics import (
    OFFSET_SIDE,
    Weights,
    best_line,
    figures,
    histogram,
    line_of,
    offset_effect,
    weights,
)


class ProfileLine(NamedTuple):
    """The row, or the column, of the profile."""

    position: int
    column: bool = False


def best_cut(sample: LabelSample, column: bool = False) -> ProfileLine:
    """The line that crosses the most boundaries."""
    return ProfileLine(best_line(sample.label, column), column)


def view(
    sample: LabelSample, settings: dict[str, Settings], cut: ProfileLine, same_scale: bool = True
) -> str:
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
    cut = cut._replace(position=min(cut.position, sample.label.shape[1 if cut.column else 0] - 1))
    pictures = _Pictures(sample, cut)
    void = settings['A'].ignore_index
    cards = [
        f'<section class="card {name}"><h3><b>{name}</b> {_title(each)}</h3>'
        f'{_facts(sample, each)}{pictures.of(each, found[name], top if shared else peaks[name])}'
        '</section>'
        for name, each in settings.items()
    ]
    charts = _charts(sample, void, found, cut, top)
    offsets = [_offsets(name, sample, each) for name, each in settings.items()]
    pairs = ''.join(f'<div class="pair">{"".join(pair)}</div>' for pair in (cards, charts, offsets))
    return f'<div class="explore"><div class="top">{pictures.given(void)}</div>{pairs}</div>'


def message(sentence: str, mistake: bool = False) -> str:
    """A sentence for the line below the choice of the label; empty for none."""
    role = 'alert' if mistake else 'status'
    return f'<p class="message {role}" role="{role}">{escape(sentence)}</p>' if sentence else ''


class _Pictures:
    """Pictures of a label, each with the line of the profile."""

    def __init__(self, sample: LabelSample, cut: ProfileLine) -> None:
        self.sample = sample
        place = (cut.position + 0.5) / sample.label.shape[1 if cut.column else 0]
        side, way = ('left', 'column') if cut.column else ('top', 'row')
        self.line = f'<i class="cut {way}" style="{side}:{place:.2%}"></i>'

    def given(self, void: int) -> str:
        """Image, label and loss."""
        sample = self.sample
        label = sample.label
        classes = int((np.unique(label) != void).sum())
        size = '{1} x {0}'.format(*label.shape)
        text = f'{classes} class{"" if classes == 1 else "es"}, {(label == void).mean():.1%} void'
        html = ''
        if sample.image is not None:
            html += self._show('image', data_uri(sample.image), f'Image, {size}')
            text = f'Label, {text}'
        else:
            text = f'Label, {size}, {text}'
        html += self._show('label', data_uri(label_picture(sample, void), exact=True), text)
        if sample.loss is not None:
            html += self._loss('loss', sample.loss, 'Cross entropy')
        return html

    def of(self, settings: Settings, found: Weights, top: float) -> str:
        """Weights, edges and, where there is a loss, the weighted loss of a setting."""
        over = 'label' if self.sample.image is None else 'image'
        symbol = 'E<sub>G</sub>' + ('' if settings.normalize is None else ' / mean')
        picture = data_uri(overlay(self.sample, found.weight, top, settings.ignore_index))
        large = self._show('weight', picture, f'{symbol} over the {over}', top)
        text = f'Edges E, {np.count_nonzero(found.edges) / found.edges.size:.1%} of the pixels'
        small = self._show('edges', data_uri(edge_picture(found.edges), exact=True), text)
        if self.sample.loss is not None:
            weighted = self.sample.loss * found.weight
            small += self._loss('weighted', weighted, f'{symbol} times cross entropy')
        return f'{large}<div class="small">{small}</div>'

    def _loss(self, kind: str, loss: np.ndarray, name: str) -> str:
        top = float(np.percentile(loss, 99.5)) or 1.0
        text = f'{name}, mean {loss.mean():.3f}'
        return self._show(kind, data_uri(heat_picture(loss, top)), text, top)

    def _show(self, kind: str, address: str, caption: str, top: float | None = None) -> str:
        bar = f'<div class="bar"><span>0</span><i></i><span>{top:.1f}</span></div>' if top else ''
        return (
            f'<figure class="picture {kind}"><figcaption>{caption}</figcaption>'
            f'<div class="frame"><img src="{address}" alt="{kind}">{self.line}</div>{bar}</figure>'
        )


def _title(settings: Settings) -> str:
    width = f', sigma {settings.sigma:g}' if settings.kernel == 'gaussian' else ''
    return (
        f'{settings.kernel}, size {settings.kernel_size}{width}, beta {settings.beta:g}, '
        f'downsample {settings.downsample}'
    )


def _facts(sample: LabelSample, settings: Settings) -> str:
    found = figures(weights(sample, settings))
    reach = settings.kernel_size * settings.downsample
    blur = f'{reach} px, {reach / max(sample.label.shape):.0%} of the longer side'
    if settings.kernel == 'gaussian':
        deviation = math.sqrt(settings.kernel_size * settings.sigma / 2) * settings.downsample
        blur += f'; std {deviation:.0f} px'
    if math.isnan(found.mean):
        facts = {'Mean weight': 'none: every pixel is void'}
    else:
        mean = f'<b>{found.mean:.2f}</b> acts like a learning rate x {found.mean:.1f}'
        if settings.normalize is not None:
            literal = figures(weights(sample, replace(settings, normalize=None))).mean
            mean = f'<b>{found.mean:.2f}</b> (x {literal:.1f} without normalize)'
        facts = {
            'Mean weight': mean,
            'Below 1': f'<b>{found.below_one:.1%}</b> count less than in cross entropy',
            'Range': f'{found.least:.2f} to {found.peak:.2f}',
        }
    facts['Blur'] = blur
    rows = (
        f'<dt>{term}</dt><dd data-fact="{term.split()[0].lower()}">{text}</dd>'
        for term, text in facts.items()
    )
    return f'<dl>{"".join(rows)}</dl>'


def _charts(
    sample: LabelSample, void: int, found: dict[str, Weights], cut: ProfileLine, top: float
) -> list[str]:
    lines = {name: line_of(each.weight, *cut) for name, each in found.items()}
    colours = line_of(label_picture(sample, void), *cut)
    highest = max(float(line.max()) for line in lines.values()) or 1.0
    axis, way = ('y', 'column x') if cut.column else ('x', 'row y')
    title = f'Weights along {way} = {cut.position}'
    shares = {name: histogram(each, top) for name, each in found.items()}
    return [
        profile_chart(lines, colours, highest, axis, title),
        histogram_chart(shares, top, 'Share of the pixels with each weight'),
    ]


def _offsets(name: str, sample: LabelSample, settings: Settings) -> str:
    """What ``antialias`` does at the offset of this label, and at the others."""
    start = f'<section class="offsets {name}"><h4><b>{name}</b> Antialiasing</h4><p>'
    if settings.downsample == 1:
        text = 'downsample=1 does not shrink the edges, so antialias changes nothing.'
        return f'{start}{text}</p></section>'
    effects = {on: offset_effect(sample, settings, on) for on in (True, False)}
    head = ''.join(f'<th>{k}</th>' for k in range(settings.downsample))
    rows = ''
    for what in ('mean', 'peak'):
        for on, effect in effects.items():
            mark = ' class="current"' if on == settings.antialias else ''
            cells = ''.join(f'<td>{value:.2f}</td>' for value in getattr(effect, what))
            rows += f'<tr{mark}><th>{what}</th><th>{on}</th>{cells}</tr>'
    cropped = max(sample.label.shape) > OFFSET_SIDE
    where = f' (its middle, {OFFSET_SIDE} pixels at most)' if cropped else ''
    return (
        f'{start}If the label{where} lay 0 to {settings.downsample - 1} pixels further right and '
        f'down, a pixel’s weight would vary by <b>{effects[True].deviation:.1%}</b> '
        f'with <code>antialias=True</code> and by <b>{effects[False].deviation:.1%}</b> '
        'with <code>antialias=False</code>.</p><div class="scroll"><table>'
        f'<tr><th>E<sub>G</sub></th><th>antialias</th>{head}</tr>{rows}</table></div></section>'
    )
