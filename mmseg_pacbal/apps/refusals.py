"""What each command can refuse before torch and OpenMMLab are imported, which takes seconds.

Each function is called before the ``main`` that does the work of the tool of its name.
"""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

from ..configs import find_config
from ..files import find_checkpoints, require_checkpoint
from . import cli
from .arguments import FORMATS
from .images import find_jobs, label_paths, require_labels
from .lite0 import require_source, source_of
from .study import study_file
from .voc import require_archive, require_devkit

DEMO_RESULTS = ('panels.png', 'results.json')
ONNX_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def check(tool: str, args: argparse.Namespace) -> None:
    """Check the configs and checkpoints that the arguments of a tool name, then all else."""
    inputs(args)
    if tool in OWN:
        OWN[tool](args)


def inputs(args: argparse.Namespace) -> None:
    """Of every tool: check that configs and checkpoints are there; a URL may be."""
    given = vars(args)
    config, checkpoint = given.get('compare') or ('', '')
    for path in filter(None, (given.get('config'), config)):
        find_config(path)
    for path in filter(None, (given.get('checkpoint'), checkpoint)):
        if '://' not in path:
            require_checkpoint(str(Path(path).expanduser()))


def train(args: argparse.Namespace) -> None:
    if args.work_dir and not args.resume and not args.check:
        earlier_run(args.work_dir)


def earlier_run(work_dir: str) -> None:
    """Refuse a folder with checkpoints, for a training that does not resume."""
    if Path(work_dir, 'last_checkpoint').exists() or find_checkpoints(work_dir):
        raise FileExistsError(
            f'{work_dir} holds checkpoints of an earlier run, which a new one would '
            'overwrite; add --resume to continue it, or give another --work-dir'
        )


def test(args: argparse.Namespace) -> None:
    """Check that --out and --show-dir hold no results of an earlier test."""
    if args.out:
        masks = sorted(Path(args.out).rglob('*.png')) or [Path(args.out, 'mask.png')]
        cli.check_outputs(args, masks)
    if args.opacity is not None and not args.show_dir:
        raise ValueError('--opacity is of the pictures in --show-dir, which was not given')
    if args.show_dir:
        folder = Path(args.show_dir, 'vis_data')
        pictures = [folder / 'config.py', *sorted(folder.glob('vis_image/*.png'))]
        cli.check_outputs(args, pictures, option='--show-dir')
    cli.check_opacity(args)


def predict(args: argparse.Namespace) -> None:
    if args.batch_size < 1:
        raise ValueError(f'--batch-size must be 1 or more, but got {args.batch_size}')
    cli.check_opacity(args)
    jobs = find_jobs(Path(args.source), Path(args.out))
    results = [path for job in jobs for path in (job.mask, job.overlay)]
    cli.check_outputs(args, results, [job.path for job in jobs])


def visualize(args: argparse.Namespace) -> None:
    if Path(args.out).suffix not in FORMATS:
        raise ValueError(f'--out must end in {", ".join(FORMATS)}, but got {args.out}')
    cli.check_outputs(args, [args.out])
    if args.checkpoint is None and args.figure != 'weights':
        raise ValueError(f'--figure {args.figure} needs a checkpoint; give it after {args.config}')
    if (args.compare is None) == (args.figure == 'comparison'):
        raise ValueError(
            '--figure comparison and --compare CONFIG2 CHECKPOINT2 go together, but got '
            f'--figure {args.figure} {"with" if args.compare else "without"} --compare'
        )
    if args.names and not args.compare:
        raise ValueError('--names names the two models of --compare, but --compare was not given')


def browse_weights(args: argparse.Namespace) -> None:
    if args.num < 1:
        raise ValueError(f'--num must be 1 or more, but got {args.num}')


def weight_statistics(args: argparse.Namespace) -> None:
    for folder in args.folders:
        label_paths(Path(folder))


def explore_weights(args: argparse.Namespace) -> None:
    if args.labels is not None and (args.config or args.checkpoint or args.cfg_options):
        raise ValueError(
            '--labels needs no config, and goes neither with --checkpoint nor with '
            '--cfg-options; give a config or --labels'
        )
    if args.labels is not None:
        require_labels(Path(args.labels))
    if importlib.util.find_spec('gradio') is None:
        raise ImportError(
            'this page needs Gradio, which is not installed; to install it: pip install "gradio>=6"'
        )


def analyze_errors(args: argparse.Namespace) -> None:
    names = [f'{n}.{suffix}' for n in ('regions', 'calibration') for suffix in ('md', 'csv', 'png')]
    cli.check_outputs(args, [Path(args.out, name) for name in names])


def compare_errors(args: argparse.Namespace) -> None:
    for folder in args.folders:
        for name in ('regions.csv', 'calibration.csv'):
            require_table(folder / name)


def require_table(path: Path) -> None:
    """Raise FileNotFoundError unless analyze_errors has written a table."""
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; give folders that pacbal analyze wrote with --out'
        )


def export_onnx(args: argparse.Namespace) -> None:
    path = graph_path(args)
    # torch puts weights of 2 GB and more beside the graph.
    cli.check_outputs(args, [path, path.with_name(f'{path.name}.data')], [args.image])
    require_packages(*ONNX_PACKAGES)


def require_packages(*names: str) -> None:
    """Raise ImportError, naming what to install, unless all packages are there."""
    missing = [name for name in names if not importlib.util.find_spec(name)]
    if missing:
        raise ImportError(f'not installed: {", ".join(missing)}; pip install {" ".join(names)}')


def graph_path(args: argparse.Namespace) -> Path:
    return Path(args.out) if args.out else Path(args.checkpoint).with_suffix('.onnx')


def run_study(args: argparse.Namespace) -> None:
    study_file(args.study)


def demo(args: argparse.Namespace) -> None:
    out = Path(args.work_dir)
    names = (*DEMO_RESULTS, 'last_checkpoint')
    files = [*(out / name for name in names), *find_checkpoints(out)]
    cli.check_outputs(args, files, option='--work-dir')


def doctor(args: argparse.Namespace) -> None:
    if args.json:
        cli.check_outputs(args, [args.json], option='--json')


def prepare_voc(args: argparse.Namespace) -> None:
    if args.check:
        require_devkit(Path(args.out))
    else:
        require_archive(args.voc)
        require_archive(args.sbd)


def convert_lite0(args: argparse.Namespace) -> None:
    source = source_of(args)
    cli.check_outputs(args, [args.out], [source])
    require_source(source)


OWN: dict[str, Callable[[argparse.Namespace], None]] = {
    check.__name__: check
    for check in (
        *(train, test, predict, visualize, browse_weights, weight_statistics, explore_weights),
        *(analyze_errors, compare_errors, export_onnx, run_study, demo, doctor, prepare_voc),
        convert_lite0,
    )
}
