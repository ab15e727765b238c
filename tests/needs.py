"""What some tests of the core need beyond it."""

import pytest

from mmseg_pacbal.errors import has_mmseg

needs_mmseg = pytest.mark.skipif(not has_mmseg(), reason='MMSegmentation is not installed')
