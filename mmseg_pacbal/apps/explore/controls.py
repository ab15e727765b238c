"""The controls of one setting."""

from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

from .settings import NAMES, Settings


def arguments(gr: ModuleType, side: str, first: Settings) -> list[Any]:
    """The controls of one setting, in the order of ``NAMES``."""

    def slider(name: str, least: float, most: float, step: float, info: str) -> Any:
        value = getattr(first, name)
        return gr.Slider(
            least,
            max(most, value),
            value,
            step=step,
            label=name,
            info=info,
            elem_id=f'{side}-{name}',
        )

    def switch(name: str, info: str) -> Any:
        return gr.Checkbox(getattr(first, name), label=name, info=info, elem_id=f'{side}-{name}')

    kernel = gr.Radio(
        ['gaussian', 'linear'], value=first.kernel, label='kernel', elem_id=f'{side}-kernel'
    )
    size = slider('kernel_size', 1, 101, 2, 'odd, in shrunken pixels')
    sigma = slider('sigma', 0.1, 10, 0.1, 'width of the Gaussian')
    beta = slider('beta', 0, 3, 0.05, 'the least weight')
    step = slider('downsample', 1, 16, 1, 'of the edges, before the blur')
    antialias = switch('antialias', 'shrinking averages over every edge')
    void = switch('void_edges', 'a class that borders on void has an edge')
    padding = switch('ignore_padding', 'no edge where void fills the end')
    normalize = gr.Radio(
        [('None', 'None'), ("'mean'", 'mean'), ("'running'", 'running')],
        value=first.normalize or 'None',
        label='normalize',
        info='by the mean, here of this label',
        elem_id=f'{side}-normalize',
    )
    ignored = gr.Number(
        first.ignore_index, label='ignore_index', precision=0, elem_id=f'{side}-ignore_index'
    )
    return [kernel, size, sigma, beta, step, antialias, void, padding, normalize, ignored]


def settings_from(values: Sequence[Any]) -> Settings:
    """The settings that the controls show.

    Raises:
        ValueError: One is not accepted; an emptied field is None.
    """
    given = dict(zip(NAMES, values, strict=True))
    for name in ('sigma', 'beta'):  # a slider's 1 is an integer, and its sums are not exact
        if given[name] is not None:
            given[name] = round(float(given[name]), 6)
    given['normalize'] = None if given['normalize'] == 'None' else given['normalize']
    return Settings(**given)


def values_of(settings: Settings) -> list[Any]:
    """What the controls show for some settings."""
    values = asdict(settings)
    values['normalize'] = settings.normalize or 'None'
    return [values[name] for name in NAMES]
