"""Everything that depends on OpenMMLab; importing it registers what configs name."""

from ..errors import require_mmseg

require_mmseg('mmseg_pacbal.openmmlab')

from . import (  # noqa: E402 (what they need comes first)
    datasets,
    engine,
    evaluation,  # noqa: F401 (puts MMSegmentation's own right)
    heads,
    losses,
    metrics,
)

__all__ = ['datasets', 'engine', 'heads', 'losses', 'metrics']
