from .lean_head import build_lean_head, head_losses
from .pac_head import PACHead

__all__ = ['PACHead', 'build_lean_head', 'head_losses']
