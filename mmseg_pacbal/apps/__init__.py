"""Programs: everything that deals with a command line."""

from ..errors import require_mmseg

require_mmseg('this tool')
