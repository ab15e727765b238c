"""Compare configs over several seeds: python tools/run_study.py table3 --seeds 0 1 2"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('run_study')
