"""Run examples/tutorial.ipynb and write it as a page: python docs/tutorial.py

Writes docs/tutorial.md with the notebook's text, code and results, and docs/images/tutorial/*.png.
Needs `pip install -e ".[lite,onnx,notebook]"` and takes about two minutes. The notebook itself is
left as it is, without results.
"""

import argparse
import base64
import io
import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
NOTEBOOK = DOCS.parent / 'examples' / 'tutorial.ipynb'
PAGE = DOCS / 'tutorial.md'
PICTURES = Path('images', 'tutorial')  # below docs/
NOTE = (
    '*This page is [`examples/tutorial.ipynb`](../examples/tutorial.ipynb) with the results of\n'
    'one run on a CPU, written by `python docs/tutorial.py`. Yours will differ a little.*'
)
COLOURS = 256  # of a picture: a quarter of the size, and no difference to be seen


def read_cells(path: Path = NOTEBOOK) -> list[dict]:
    """The cells of a notebook, read without nbformat, so that every test can read them."""
    return json.loads(path.read_text(encoding='utf-8'))['cells']


def run(folder: Path, notebook: Path = NOTEBOOK) -> list[dict]:
    """The cells of a notebook with their results, run in a folder, which gets its files.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell fails; the message shows it and its error.
    """
    import nbformat  # these two are of the extra [notebook]
    from nbclient import NotebookClient
    from traitlets.config import Config

    read = nbformat.read(notebook, as_version=4)
    resources = dict(metadata=dict(path=str(folder)))
    with tempfile.TemporaryDirectory() as sockets:  # files, which nobody else can open
        transport = dict(transport='ipc', ip=str(Path(sockets, 'kernel')))
        config = Config(KernelManager=transport)
        client = NotebookClient(read, resources=resources, timeout=None, config=config)
        client.execute(env={**os.environ, 'TMPDIR': str(folder)})
    return read.cells


def text_and_code(cell: dict) -> str:
    """A cell without its results, as Markdown; what starts a cell with %% is for Jupyter only."""
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown':
        return source.replace('](../docs/', '](')
    magic, _, rest = source.partition('\n')
    if magic.startswith('%%bash'):
        return f'```bash\n{rest}\n```'
    if magic.startswith('%%writefile '):
        return f'```python title="{magic.split()[1]}"\n{rest}\n```'
    return f'```python\n{rest if magic.startswith("%%") else source}\n```'


def results(cell: dict) -> Iterator[str | bytes]:
    """What a cell printed, in one piece, and its pictures, as PNG."""
    outputs = cell.get('outputs', [])
    printed = ''.join(''.join(output.get('text', '')) for output in outputs)
    if printed.strip() and not ''.join(cell['source']).startswith('%%writefile'):
        yield printed.strip('\n')
    for output in outputs:
        if 'image/png' in output.get('data', {}):
            yield base64.b64decode(output['data']['image/png'])


def names(cell_id: str) -> Iterator[str]:
    """Files of a cell's pictures: plot.png, plot-2.png, ..."""
    yield f'{cell_id}.png'
    yield from (f'{cell_id}-{number}.png' for number in itertools.count(2))


def page(cells: list[dict]) -> tuple[str, dict[str, bytes]]:
    """The page, and its pictures by the names of their files."""
    parts, pictures = [], {}
    for position, cell in enumerate(cells):
        parts.append(text_and_code(cell))
        if position == 0:
            parts.append(NOTE)
        for result in results(cell):
            if isinstance(result, str):
                parts.append(f'```text\n{result}\n```')
            else:
                name = next(n for n in names(cell['id']) if n not in pictures)
                pictures[name] = result
                parts.append(f'![{cell["metadata"]["alt"]}]({(PICTURES / name).as_posix()})')
    return '\n\n'.join(parts) + '\n', pictures


def smaller(png: bytes) -> bytes:
    """The same picture with at most COLOURS colours."""
    image = Image.open(io.BytesIO(png)).convert('RGB')
    out = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, 'PNG', optimize=True)
    return out.getvalue()


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        text, pictures = page(run(Path(work)))
    PAGE.write_text(text, encoding='utf-8')
    folder = DOCS / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob('*.png')) - {folder / name for name in pictures}:
        stale.unlink()
    for name, png in pictures.items():
        (folder / name).write_bytes(smaller(png))
    print(f'written to {PAGE} and {len(pictures)} pictures in {folder}')


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__.partition('\n')[0]).parse_args()
    main()
