"""How large the boundary weights are on labels: python tools/weight_statistics.py FOLDER ..."""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('weight_statistics')
