"""Gradio, kept on this machine, and the page served by it."""

import importlib.util
import os
import signal
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from .page import Page
from .samples import Source
from .style import CSS
from .uploads import MOST_BYTES


def require_gradio() -> None:
    """Raise ImportError unless Gradio is installed; it is not imported yet, which takes seconds."""
    if importlib.util.find_spec('gradio') is None:
        raise ImportError(
            'this page needs Gradio, which is not installed; to install it: '
            'pip install "mmseg-pacbal[explore]"'
        )


def import_gradio(uploads: Path) -> ModuleType:
    """Gradio, told to report nothing, to record nothing and to keep uploads in a folder of ours.

    Args:
        uploads: The folder. Gradio reads these variables when it is imported.

    Raises:
        ImportError: It is not installed.
    """
    require_gradio()
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED='False',
        GRADIO_RUN_HISTORY='False',  # in the browser's storage
        GRADIO_SSR_MODE='False',
        GRADIO_SHARE='False',
        GRADIO_TEMP_DIR=str(uploads),
    )
    import gradio

    return gradio


def serve(source: Source, own: dict[str, Any] | None, host: str, port: int | None) -> None:
    """Open the page until it is interrupted.

    Args:
        source: Where labels come from.
        own: Arguments of the config's loss, with which A begins; None if it has none.
        host: Address to listen on.
        port: None takes a free one from 7860 on.

    Raises:
        ImportError: Gradio is not installed.
        OSError: The port is not free, or the address is not one of this machine.
    """
    with tempfile.TemporaryDirectory(prefix='explore-') as folder:
        gr = import_gradio(Path(folder))
        page = Page(gr, source, own, Path(folder))
        # System fonts: Gradio's default ones would be fetched from Google.
        theme = gr.themes.Default(
            primary_hue='teal', font=['system-ui', 'sans-serif'], font_mono=['monospace']
        )
        try:
            page.blocks.launch(
                server_name=host,
                server_port=port,
                share=False,
                # Gradio's own words end what is larger still, before it fills the disk.
                max_file_size=2 * MOST_BYTES,
                footer_links=[],
                theme=theme,
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
