"""Where a model is wrong: python tools/analyze_errors.py CONFIG CHECKPOINT --out DIR"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('analyze_errors')
