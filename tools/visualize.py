"""Draw a figure of the paper: python tools/visualize.py CONFIG CHECKPOINT --figure loss --out F"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('visualize')
