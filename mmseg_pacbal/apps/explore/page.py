"""The page itself: Gradio's controls, and which function answers which of them."""

from collections.abc import Callable, Hashable
from pathlib import Path
from types import ModuleType
from typing import Any

from .answers import SIDES, Answers
from .controls import arguments
from .samples import Source
from .settings import others_of, paper_rows, settings_of
from .style import ON_CLICK

PLAIN = 'the defaults of the loss'
OWN = "the config's loss"
CUTS = ('row', 'column')


class Page:
    """Controls and answers.

    Args:
        gr: Gradio.
        source: Where labels come from.
        own: Arguments of the config's loss, with which A begins; None if it has none.
        uploads: The folder in which Gradio puts uploaded files.

    Attributes:
        blocks: The page, to be launched.
    """

    def __init__(
        self, gr: ModuleType, source: Source, own: dict[str, Any] | None, uploads: Path
    ) -> None:
        self.gr, self.source = gr, source
        presets = {OWN: settings_of(own)} if own else {}
        presets[PLAIN] = settings_of({})
        self.answers = Answers(gr, source, presets, others_of(own), uploads)
        with gr.Blocks(
            title='Choose the weights', analytics_enabled=False, delete_cache=(60, 60)
        ) as self.blocks:
            gr.Markdown(
                '# Choose the weights\nBoundary-aware Loss multiplies the cross entropy of each '
                'pixel by a weight, E_G. Compare two settings, A and B, on a label of yours; a '
                'click on a picture moves the cut.'
            )
            self.shown = gr.State(None)  # a key, see Answers
            with gr.Row():
                with gr.Column(scale=1, min_width=300, elem_classes='controls'):
                    self._label_controls()
                    self._setting_controls()
                    self._view_controls()
                with gr.Column(scale=3, min_width=320):
                    self.picture = gr.HTML(js_on_load=ON_CLICK, elem_id='view')
                    self._texts()
            self._wire()

    def _label_controls(self) -> None:
        gr, names = self.gr, self.source.names
        choices = [(name, position) for position, name in enumerate(names)]
        self.choice = gr.Dropdown(choices, value=0, label='Label', elem_id='label')
        self.upload = gr.UploadButton(
            'Upload a label', size='sm', elem_id='upload', file_count='single'
        )
        self.note = gr.HTML(elem_id='note')

    def _setting_controls(self) -> None:
        gr, choices = self.gr, [*self.answers.presets, *paper_rows()]
        self.inputs: dict[str, list[Any]] = {}
        self.preset: dict[str, Any] = {}
        with gr.Tabs():
            for side, first in zip(SIDES, choices, strict=False):
                with gr.Tab(side, elem_id=f'tab-{side}'):
                    self.preset[side] = gr.Dropdown(
                        choices, value=first, label='Preset', elem_id=f'{side}-preset'
                    )
                    self.inputs[side] = arguments(gr, side, self.answers.preset(first))

    def _view_controls(self) -> None:
        gr = self.gr
        self.problem = gr.HTML(elem_id='problem')
        self.copy = gr.Button('Copy A to B', size='sm', elem_id='copy')
        self.same = gr.Checkbox(True, label='Same colours for A and B', elem_id='same')
        self.way = gr.Radio(CUTS, value=CUTS[0], label='Profile along a', elem_id='way')
        self.position = gr.Slider(0, 1, value=0, step=1, label='at pixel', elem_id='position')

    def _texts(self) -> None:
        gr = self.gr
        self.texts: dict[str, list[Any]] = {}
        with gr.Row():
            for side in SIDES:
                with gr.Column(min_width=320):
                    self.texts[side] = [
                        self._code(f'{side}: add to your config', f'{side}-config'),
                        self._code(f'{side}: in Python', f'{side}-python'),
                    ]

    def _code(self, label: str, name: str) -> Any:
        """A box of Python to copy from."""
        return self.gr.Code(
            label=label,
            language='python',
            interactive=False,
            wrap_lines=True,
            show_line_numbers=False,
            elem_id=name,
        )

    def _wire(self) -> None:
        """Which function answers which control."""
        answers = self.answers
        quiet = dict(show_progress='hidden', api_visibility='private')
        settings = [*self.inputs['A'], *self.inputs['B']]
        draw = dict(
            fn=answers.draw,
            inputs=[self.shown, *settings, self.same, self.way, self.position],
            outputs=[self.picture, *self.texts['A'], *self.texts['B'], self.problem],
            **quiet,
        )
        # While a slider is dragged, only its last place counts.
        moved = [control.input for control in (*settings, self.same, self.position)]
        self.gr.on(moved, trigger_mode='always_last', **draw)
        # What follows another answer is never dropped.
        draw['trigger_mode'] = 'multiple'
        picked = [self.shown, self.position, self.choice, self.note]
        place = [self.shown, self.way]
        for event in (self.blocks.load, self.choice.input):
            event(answers.pick, [self.choice, self.way], picked, **quiet).then(**draw)
        self.upload.upload(answers.take, [self.upload, self.way], picked, **quiet).then(**draw)
        self.way.input(answers.turn, place, self.position, **quiet).then(**draw)
        self.picture.click(self._clicked(), place, self.position, **quiet).then(**draw)
        for side, preset in self.preset.items():
            preset.input(answers.settle, preset, self.inputs[side], **quiet).then(**draw)
            for control in self.inputs[side]:  # it is no longer the preset
                control.input(lambda: None, None, preset, **quiet)
        copied = self.copy.click(
            lambda *v: v,
            [self.preset['A'], *self.inputs['A']],
            [self.preset['B'], *self.inputs['B']],
            **quiet,
        )
        copied.then(**draw)

    def _clicked(self) -> Callable[..., Any]:
        gr, answers = self.gr, self.answers

        # Gradio passes the event because of its annotation.
        def clicked(key: Hashable, way: str, event: gr.EventData) -> Any:  # type: ignore
            return answers.point(key, way, event.x, event.y)

        return clicked
