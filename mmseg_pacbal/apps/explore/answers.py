"""What the page answers when a control is used."""

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from .samples import LabelSample, Source, read_upload
from .settings import (
    NAMES,
    Settings,
    paper_rows,
    paper_settings,
    settings_from,
    settings_of,
    texts,
    values_of,
)
from .view import WAYS, view
from .weights import best_line

OWN, PLAIN = "the config's loss", 'the defaults of the loss'


class Answers:
    """Functions of values of controls, which return values of controls.

    ``loss_args`` are the arguments of the config's loss, if it has one.
    """

    def __init__(self, gr: ModuleType, source: Source, loss_args: Mapping[str, Any] | None) -> None:
        self.gr, self.source, self.loss_args = gr, source, loss_args or {}
        self.presets = [*([OWN] if loss_args else []), PLAIN, *paper_rows()]
        # Gradio names the folder of an upload after its content; two tabs may send the same file,
        # which is there for the first of them alone.
        self._read = lru_cache(8)(self._read_once)

    def preset(self, name: str) -> Settings:
        """The settings of a preset."""
        if name in (OWN, PLAIN):
            return settings_of(self.loss_args if name == OWN else {})
        return paper_settings(paper_rows()[name])

    def draw(self, sample: LabelSample | None, *values: Any) -> list[Any]:
        """Everything that depends on the settings; a setting that is wrong is a sentence."""
        *controls, same, way, position = values
        try:
            if sample is None:
                raise ValueError('this tab has no label in memory; choose one, or upload it again')
            first = settings_from(controls[: len(NAMES)])
            second = settings_from(controls[len(NAMES) :])
        except ValueError as error:
            return [self.gr.skip()] * 5 + [message(str(error), mistake=True)]
        html = view(sample, dict(A=first, B=second), way, int(position or 0), same)
        return [html, *texts(first, self.loss_args), *texts(second, self.loss_args), '']

    def pick(self, position: int | None, way: str) -> list[Any]:
        """A label of the source."""
        if position is None:
            return [self.gr.skip()] * 4
        try:
            sample = self.source.load(position)
        except (OSError, ValueError) as error:
            return self._refused(str(error))
        return [sample, self.cut(sample, way), position, '']

    def take(self, path: str | None, way: str) -> list[Any]:
        """An uploaded label; whatever happens, its file is removed."""
        if path is None:
            return [self.gr.skip()] * 4
        try:
            outcome = self._read(Path(path))
        except FileNotFoundError:
            outcome = f'{Path(path).name} is gone; upload it again'
        if isinstance(outcome, str):
            return self._refused(outcome)
        read = message(f'{Path(path).name} was read, and its file removed.')
        return [outcome, self.cut(outcome, way), None, read]

    def settle(self, name: str | None) -> list[Any]:
        """The controls of a preset."""
        return [self.gr.skip()] * len(NAMES) if name is None else values_of(self.preset(name))

    def cut(self, sample: LabelSample | None, way: str) -> Any:
        """The line that crosses the most boundaries."""
        if sample is None:
            return self.gr.skip()
        axis = WAYS.index(way)
        last, best = sample.label.shape[axis] - 1, best_line(sample.label, axis)
        return self.gr.Slider(value=best, maximum=max(1, last), minimum=0)

    def _read_once(self, path: Path) -> LabelSample | str:
        """The label of an uploaded file, or the sentence with which it is refused."""
        try:
            return LabelSample(read_upload(path, self.source.rules), self.source.palette)
        except ValueError as error:
            return str(error)
        finally:
            path.unlink(missing_ok=True)

    def _refused(self, sentence: str) -> list[Any]:
        return [self.gr.skip()] * 3 + [message(sentence, mistake=True)]


def message(sentence: str, mistake: bool = False) -> str:
    """A sentence below the choice of the label, or below the settings."""
    role = 'alert' if mistake else 'status'
    return f'<p class="message {role}" role="{role}">{escape(sentence)}</p>'
