"""Train PAC + BAL on generated data and test it: python tools/demo.py"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('demo')
