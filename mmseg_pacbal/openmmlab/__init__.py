"""Everything that depends on OpenMMLab; importing it registers what configs name."""

from ..errors import require_mmseg

require_mmseg('mmseg_pacbal.openmmlab')

from . import datasets, engine, heads, losses, metrics  # noqa: E402 (what they need comes first)

__all__ = ['datasets', 'engine', 'heads', 'losses', 'metrics']
