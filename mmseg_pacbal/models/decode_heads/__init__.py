from .pac_head import PACHead

__all__ = ['PACHead']
