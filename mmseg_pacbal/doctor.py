"""``python -m mmseg_pacbal.doctor``: see :mod:`mmseg_pacbal.apps.doctor`."""

from .apps.commands import run

if __name__ == '__main__':
    run('doctor', prog='python -m mmseg_pacbal.doctor')
