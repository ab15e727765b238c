"""Train a segmentation model: python tools/train.py configs/pac_bal_voc.py"""

import argparse
from pathlib import Path

from mmengine.device import get_device
from mmengine.runner import Runner

from mmseg_pacbal import cli
from mmseg_pacbal.preflight import check_data


def parse_args() -> argparse.Namespace:
    parser = cli.parser('Train a segmentation model')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the last checkpoint in the work dir'
    )
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cfg = cli.load_config(args.config, args.cfg_options)
    cfg.work_dir = cli.work_dir(args, cfg)
    if not args.resume and Path(cfg.work_dir, 'last_checkpoint').exists():
        raise FileExistsError(
            f'{cfg.work_dir} holds checkpoints of an earlier run, which a new one would '
            'overwrite; add --resume to go on, or give another --work-dir'
        )
    cfg.resume = args.resume
    if args.amp:
        if get_device() == 'cpu':
            raise ValueError('--amp needs a GPU, and none is found here; train without it')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    check_data(cfg, 'train_dataloader', 'val_dataloader')
    cli.prepare_launcher(cfg, args)
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    cli.run(main, parse_args())
