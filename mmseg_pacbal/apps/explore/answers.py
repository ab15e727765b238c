"""What the page answers when a control is used."""

from pathlib import Path
from types import ModuleType
from typing import Any

from .controls import settings_from, values_of
from .samples import Sample, Source
from .settings import NAMES, Settings, config_text, paper_rows, paper_settings, python_text
from .uploads import discard, read_upload
from .view import Cut, best_cut, message, view

SIDES = ('A', 'B')


class Answers:
    """Functions of values of controls, which return values of controls.

    Args:
        gr: Gradio.
        source: Where labels come from.
        presets: Settings by name, besides those of the paper.
        uploads: The folder in which Gradio puts uploaded files.
    """

    def __init__(
        self, gr: ModuleType, source: Source, presets: dict[str, Settings], uploads: Path
    ) -> None:
        self.gr, self.source, self.presets, self.uploads = gr, source, presets, uploads

    def preset(self, name: str) -> Settings:
        """The settings of a preset."""
        return self.presets.get(name) or paper_settings(paper_rows()[name])

    def draw(self, sample: Sample | None, *values: Any) -> list[Any]:
        """Everything that depends on the settings; a setting that is wrong is a sentence."""
        count = len(NAMES)
        same, way, position = values[2 * count :]
        unchanged = self.gr.skip()
        if sample is None:
            return [unchanged] * 6
        try:
            settings = {
                side: settings_from(values[i * count : (i + 1) * count])
                for i, side in enumerate(SIDES)
            }
        except ValueError as error:
            return [unchanged] * 5 + [message(str(error), mistake=True)]
        html = view(sample, settings, Cut(int(position or 0), way == 'column'), same)
        texts = [text(settings[side]) for side in SIDES for text in (config_text, python_text)]
        return [html, *texts, '']

    def pick(self, position: int | None, way: str) -> list[Any]:
        """A label of the source."""
        if position is None:
            return [self.gr.skip()] * 4
        try:
            sample = self.source.load(position)
        except (OSError, ValueError) as error:
            return self._refused(error)
        return [sample, self._cut(sample, way), position, '']

    def take(self, path: str | None, way: str) -> list[Any]:
        """An uploaded label; whatever happens, its file is removed."""
        if path is None:
            return [self.gr.skip()] * 4
        file = Path(path)
        try:
            label = read_upload(file, self.source.value_of_colour, self.source.table)
        except ValueError as error:
            return self._refused(error)
        finally:
            discard(file, self.uploads)
        sample = Sample(file.name, label, self.source.palette)
        read = message(f'{file.name} was read, and its file removed.')
        return [sample, self._cut(sample, way), None, read]

    def turn(self, sample: Sample | None, way: str) -> Any:
        """Where the profile is cut if it runs the other way."""
        return self.gr.skip() if sample is None else self._cut(sample, way)

    def point(self, sample: Sample | None, way: str, x: float, y: float) -> Any:
        """The row or column that was clicked on, at shares of the width and the height."""
        if sample is None:
            return self.gr.skip()
        height, width = sample.label.shape
        side, share = (width, x) if way == 'column' else (height, y)
        return int(min(side - 1, max(0, share * side)))

    def settle(self, name: str | None) -> list[Any]:
        """The controls of a preset."""
        if name is None:
            return [self.gr.skip()] * len(NAMES)
        return values_of(self.preset(name))

    def _refused(self, error: Exception) -> list[Any]:
        return [self.gr.skip()] * 3 + [message(str(error), mistake=True)]

    def _cut(self, sample: Sample, way: str) -> Any:
        column = way == 'column'
        last = sample.label.shape[1 if column else 0] - 1
        return self.gr.Slider(
            value=best_cut(sample, column).position, maximum=max(1, last), minimum=0
        )
