from .lean_head import LeanLossMixin, head_losses, lean
from .pac_head import PACHead

__all__ = ['LeanLossMixin', 'PACHead', 'head_losses', 'lean']
