from .lean_loss import LeanLossMixin, lean
from .pac_head import PACHead

__all__ = ['LeanLossMixin', 'PACHead', 'lean']
