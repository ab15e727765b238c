from .lean_loss import LeanLossMixin, head_losses, lean
from .pac_head import PACHead

__all__ = ['LeanLossMixin', 'PACHead', 'head_losses', 'lean']
