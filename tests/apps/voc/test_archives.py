"""Archives are refused by a Python whose tarfile has no filter, such as Debian 12's 3.11.2."""

import tarfile

import pytest

from mmseg_pacbal.apps.voc.archives import prepare


def test_python_without_the_data_filter_unpacks_nothing(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, 'data_filter', raising=False)
    with pytest.raises(RuntimeError, match=r'^unpacking needs Python 3\.10\.12, 3\.11\.4 or newer'):
        prepare(tmp_path / 'voc.tar', tmp_path / 'sbd.tgz', tmp_path / 'VOC2012')
    assert not (tmp_path / 'VOC2012').exists()
