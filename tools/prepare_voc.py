"""Make VOC 2012 with SBD's masks from the official archives: python tools/prepare_voc.py"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('prepare_voc')
