"""Draw the weights of training samples: python tools/browse_weights.py CONFIG --out DIR"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('browse_weights')
