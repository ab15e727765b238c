"""Train a segmentation model: python tools/train.py configs/pac_bal_voc.py"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('train')
