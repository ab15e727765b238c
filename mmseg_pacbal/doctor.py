"""``python -m mmseg_pacbal.doctor``: see :mod:`mmseg_pacbal.apps.doctor`."""

from .apps.doctor import main

if __name__ == '__main__':
    main()
