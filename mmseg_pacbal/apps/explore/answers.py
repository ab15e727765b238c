"""What the page answers when a control is used."""

from collections.abc import Hashable
from pathlib import Path
from types import ModuleType
from typing import Any

from .controls import settings_from, values_of
from .memory import BoundedCache
from .samples import LabelSample, Source
from .settings import NAMES, Settings, config_text, paper_rows, paper_settings, python_text
from .uploads import discard, read_upload
from .view import ProfileLine, best_cut, message, view

SIDES = ('A', 'B')
MOST_BYTES = 512 * 2**20  # of labels, with their images, in memory; of all tabs together


class Answers:
    """Functions of values of controls, which return values of controls.

    Args:
        gr: Gradio.
        source: Where labels come from.
        presets: Settings by name, besides those of the paper.
        others: Arguments of the config's loss that the page has no control for.
        uploads: The folder in which Gradio puts uploaded files.
    """

    def __init__(
        self,
        gr: ModuleType,
        source: Source,
        presets: dict[str, Settings],
        others: dict,
        uploads: Path,
    ) -> None:
        self.others = others
        self.gr, self.source, self.presets, self.uploads = gr, source, presets, uploads
        # A tab holds the key alone: the position of a label of the source, or the path at which a
        # file was uploaded, to which Gradio gives the name of its content. A file that was refused
        # has a sentence.
        self.kept: BoundedCache[LabelSample | str] = BoundedCache(MOST_BYTES)

    def preset(self, name: str) -> Settings:
        """The settings of a preset."""
        return self.presets.get(name) or paper_settings(paper_rows()[name])

    def sample(self, key: Hashable) -> LabelSample:
        """The label of a tab; one of the source is read again if it was dropped.

        Raises:
            OSError: The file of a label of the source is gone.
            ValueError: An upload was dropped, or a file of the source is broken.
        """
        kept = self.kept.get(key)
        if isinstance(kept, LabelSample):
            return kept
        if isinstance(key, int):
            return self._keep(key, self.source.load(key))
        raise ValueError(
            f'{Path(str(key)).name} is no longer in memory: later uploads needed its room; '
            'upload it again, or choose another label'
        )

    def draw(self, key: Hashable, *values: Any) -> list[Any]:
        """Everything that depends on the settings; a setting that is wrong is a sentence."""
        count = len(NAMES)
        same, way, position = values[2 * count :]
        unchanged = self.gr.skip()
        if key is None:
            return [unchanged] * 6
        try:
            sample = self.sample(key)
            settings = {
                side: settings_from(values[i * count : (i + 1) * count])
                for i, side in enumerate(SIDES)
            }
        except (OSError, ValueError) as error:
            return [unchanged] * 5 + [message(str(error), mistake=True)]
        html = view(sample, settings, ProfileLine(int(position or 0), way == 'column'), same)
        texts = [
            text(settings[side], self.others)
            for side in SIDES
            for text in (config_text, python_text)
        ]
        return [html, *texts, '']

    def pick(self, position: int | None, way: str) -> list[Any]:
        """A label of the source."""
        if position is None:
            return [self.gr.skip()] * 4
        try:
            sample = self._keep(position, self.source.load(position))
        except (OSError, ValueError) as error:
            return self._refused(str(error))
        return [position, self._cut(sample, way), position, '']

    def take(self, path: str | None, way: str) -> list[Any]:
        """An uploaded label; whatever happens, its file is removed."""
        if path is None:
            return [self.gr.skip()] * 4
        file = Path(path)
        found = self._uploaded(file)
        if isinstance(found, str):
            return self._refused(found)
        read = message(f'{file.name} was read, and its file removed.')
        return [path, self._cut(found, way), None, read]

    def _uploaded(self, file: Path) -> LabelSample | str:
        """The label of an uploaded file, or the sentence with which it is refused."""
        try:
            label = read_upload(file, self.source.rules)
        except FileNotFoundError:  # uploaded in another tab too, which has read and removed it
            return self.kept.get(str(file)) or f'{file.name} is gone; upload it again'
        except ValueError as error:
            found: LabelSample | str = str(error)
        else:
            found = LabelSample(file.name, label, self.source.palette)
        self.kept.put(str(file), found)
        discard(file, self.uploads)  # after it is kept: another tab finds one or the other
        return found

    def turn(self, key: Hashable, way: str) -> Any:
        """Where the profile is cut if it runs the other way."""
        sample = self._shown(key)
        return self.gr.skip() if sample is None else self._cut(sample, way)

    def point(self, key: Hashable, way: str, x: float, y: float) -> Any:
        """The row or column that was clicked on, at shares of the width and the height."""
        sample = self._shown(key)
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

    def _keep(self, key: Hashable, sample: LabelSample) -> LabelSample:
        self.kept.put(key, sample)
        return sample

    def _shown(self, key: Hashable) -> LabelSample | None:
        """The label of a tab, or None; the answer that follows says why."""
        try:
            return None if key is None else self.sample(key)
        except (OSError, ValueError):
            return None

    def _refused(self, sentence: str) -> list[Any]:
        return [self.gr.skip()] * 3 + [message(sentence, mistake=True)]

    def _cut(self, sample: LabelSample, way: str) -> Any:
        column = way == 'column'
        last = sample.label.shape[1 if column else 0] - 1
        return self.gr.Slider(
            value=best_cut(sample, column).position, maximum=max(1, last), minimum=0
        )
