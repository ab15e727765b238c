"""ImageNet weights for configs/*_camvid_lite0.py: python tools/convert_lite0.py"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('convert_lite0')
