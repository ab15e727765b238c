"""BoundaryQuality in two processes, on torch.distributed alone."""

import pytest

from mmseg_pacbal.metrics import BoundaryQuality
from tests.distributed.processes import run_processes
from tests.metrics.test_torchmetrics import CLASSES, assert_same, make_batch, scores


def count_part(part: slice) -> dict:
    """Scores of this part alone, as ``forward`` returns them, and of the parts of all processes."""
    preds, target = (maps[part] for maps in make_batch(5))
    metric = BoundaryQuality(CLASSES, per_class=True)
    alone = metric(preds, target)
    return dict(alone=alone, everything=metric.compute())


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Their parts are not alike: counts are added up, no scores are averaged."""
    expected = scores(*make_batch(5), per_class=True)
    results = run_processes(2, count_part, tmp_path)
    for result in results:
        assert_same(result['everything'], expected)
        assert result['alone']['mBIoU'] != expected['mBIoU']
