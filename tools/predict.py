"""Label your own images: python tools/predict.py CONFIG CHECKPOINT IMAGE_OR_FOLDER --out DIR"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('predict')
