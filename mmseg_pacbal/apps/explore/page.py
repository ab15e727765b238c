"""The page itself: Gradio's controls, which function answers which of them, and its server."""

import os
import signal
import tempfile
from types import ModuleType
from typing import Any

from .answers import Answers
from .samples import Source
from .settings import setting_controls
from .style import CSS, ON_CLICK
from .view import WAYS

SIDES = ('A', 'B')
MOST_BYTES = 32 * 2**20  # of an upload
MOST_TABS = 32  # whose labels are in memory: those that were used last
# Gradio reads them when it is imported: report nothing, and record nothing in the browser.
ENVIRONMENT = dict.fromkeys(
    ['GRADIO_ANALYTICS_ENABLED', 'GRADIO_RUN_HISTORY', 'GRADIO_SSR_MODE', 'GRADIO_SHARE'], 'False'
)


class Page:
    """Controls and answers; ``blocks`` is the page, to be launched."""

    def __init__(self, gr: ModuleType, answers: Answers) -> None:
        self.gr, self.answers = gr, answers
        with gr.Blocks(
            title='Choose the weights', analytics_enabled=False, delete_cache=(60, 60)
        ) as self.blocks:
            gr.Markdown(
                '# Choose the weights\nBoundary-aware Loss multiplies the cross entropy of each '
                'pixel by a weight, E_G. Compare two settings, A and B, on a label of yours; a '
                'click on a picture moves the cut.'
            )
            self.shown = gr.State(None)  # the label
            with gr.Row():
                with gr.Column(scale=1, min_width=300, elem_classes='controls'):
                    self._controls()
                with gr.Column(scale=3, min_width=320):
                    self.picture = gr.HTML(js_on_load=ON_CLICK, elem_id='view')
                    with gr.Row():
                        self.texts = [text for side in SIDES for text in self._texts(side)]
            self._wire()

    def _controls(self) -> None:
        gr, answers = self.gr, self.answers
        choices = [(name, position) for position, name in enumerate(answers.source.names)]
        self.choice = gr.Dropdown(choices, value=0, label='Label', elem_id='label')
        self.upload = gr.UploadButton('Upload a label', size='sm', elem_id='upload')
        self.note = gr.HTML(elem_id='note')
        self.inputs: dict[str, list[Any]] = {}
        self.preset: dict[str, Any] = {}
        with gr.Tabs():
            for side, first in zip(SIDES, answers.presets, strict=False):
                with gr.Tab(side, elem_id=f'tab-{side}'):
                    self.preset[side] = gr.Dropdown(
                        answers.presets, value=first, label='Preset', elem_id=f'{side}-preset'
                    )
                    self.inputs[side] = setting_controls(gr, side, answers.preset(first))
        self.problem = gr.HTML(elem_id='problem')
        self.copy = gr.Button('Copy A to B', size='sm', elem_id='copy')
        self.same = gr.Checkbox(True, label='Same colours for A and B', elem_id='same')
        self.way = gr.Radio(WAYS, value=WAYS[0], label='Profile along a', elem_id='way')
        self.position = gr.Slider(0, 1, value=0, step=1, label='at pixel', elem_id='position')

    def _texts(self, side: str) -> list[Any]:
        """Boxes of Python to copy from."""
        boxes = {'config': 'add to your config', 'python': 'in Python'}
        options = dict(language='python', interactive=False, wrap_lines=True)
        with self.gr.Column(min_width=320):
            return [
                self.gr.Code(
                    label=f'{side}: {label}',
                    show_line_numbers=False,
                    elem_id=f'{side}-{name}',
                    **options,
                )
                for name, label in boxes.items()
            ]

    def _wire(self) -> None:
        """Which function answers which control."""
        answers, settings = self.answers, [*self.inputs['A'], *self.inputs['B']]
        quiet: dict[str, Any] = dict(show_progress='hidden', api_visibility='private')
        draw = dict(
            fn=answers.draw,
            inputs=[self.shown, *settings, self.same, self.way, self.position],
            outputs=[self.picture, *self.texts, self.problem],
            **quiet,
        )
        # While a slider is dragged, only its last place counts. Its change is not asked for: it
        # comes of answers, too, and of several at once the one with values of before may be last.
        controls = [*settings, self.same, self.position]
        moved = [control.input for control in controls]
        self.gr.on(moved, trigger_mode='always_last', **draw)
        # What follows another answer is never dropped.
        draw['trigger_mode'] = 'multiple'
        # A number beyond the ends of a slider changes to an end right after its field was left.
        sliders = [control for control in controls if isinstance(control, self.gr.Slider)]
        left = self.gr.on([slider.release for slider in sliders], None, js='() => []', **quiet)
        left.then(**draw)
        picked = [self.shown, self.position, self.choice, self.note]
        for event in (self.blocks.load, self.choice.input):
            event(answers.pick, [self.choice, self.way], picked, **quiet).then(**draw)
        self.upload.upload(answers.take, [self.upload, self.way], picked, **quiet).then(**draw)
        turned = self.way.input(answers.cut, [self.shown, self.way], self.position, **quiet)
        turned.then(**draw)
        self.picture.click(self._clicked(), None, self.position, **quiet).then(**draw)
        for side, preset in self.preset.items():
            preset.input(answers.settle, preset, self.inputs[side], **quiet).then(**draw)
            for control in self.inputs[side]:  # it is no longer the preset
                control.input(lambda: None, None, preset, **quiet)
        one, other = ([self.preset[side], *self.inputs[side]] for side in SIDES)
        self.copy.click(lambda *values: values, one, other, **quiet).then(**draw)

    def _clicked(self) -> Any:
        gr = self.gr

        # Gradio passes the event because of its annotation.
        def clicked(event: gr.EventData) -> Any:  # type: ignore
            return event.line

        return clicked


def name_the_ends(gr: ModuleType) -> None:
    """Have Gradio's sliders name themselves and both ends where a number is beyond them.

    A class derived from one of Gradio's would make it write a ``.pyi`` file beside this one.
    """

    def preprocess(slider: Any, payload: float | None) -> float | None:
        if payload is not None and not slider.minimum <= payload <= slider.maximum:
            raise gr.Error(
                f'{slider.label} goes from {slider.minimum} to {slider.maximum} on this page, but '
                f'got {payload}',
                print_exception=False,
            )
        return payload

    gr.Slider.preprocess = preprocess


def serve(source: Source, loss_args: dict[str, Any] | None, host: str, port: int | None) -> None:
    """Open the page until it is interrupted; ``port`` None takes a free one from 7860 on.

    Setting A begins with ``loss_args``, the arguments of the config's loss, if it has one.
    """
    with tempfile.TemporaryDirectory(prefix='explore-') as folder:
        os.environ.update(ENVIRONMENT, GRADIO_TEMP_DIR=folder)
        import gradio as gr

        name_the_ends(gr)
        page = Page(gr, Answers(gr, source, loss_args))
        # System fonts: Gradio's default ones would be fetched from Google.
        fonts: dict[str, Any] = dict(font=['system-ui', 'sans-serif'], font_mono=['monospace'])
        try:
            page.blocks.launch(
                server_name=host,
                server_port=port,
                max_file_size=MOST_BYTES,
                state_session_capacity=MOST_TABS,
                footer_links=[],
                theme=gr.themes.Default(primary_hue='teal', **fonts),
                css=CSS,
                quiet=True,
                prevent_thread_lock=True,
            )
        except OSError as error:
            wanted = f'{host}:{"7860 to 7959" if port is None else port}'
            raise OSError(
                f'nothing can listen at {wanted}; give another --port, or a --host of this machine'
            ) from error
        # Otherwise the folder of uploads would outlive a server that is told to end.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f'open {page.blocks.local_url} in a browser; Ctrl+C ends it', flush=True)
        page.blocks.block_thread()
