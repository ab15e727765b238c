from .chunked_loss_head import build_chunked_loss_head, build_lean_head, head_losses
from .pac_head import PACHead

__all__ = ['PACHead', 'build_chunked_loss_head', 'build_lean_head', 'head_losses']
