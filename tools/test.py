"""Measure mIoU of a checkpoint: python tools/test.py CONFIG CHECKPOINT"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('test')
