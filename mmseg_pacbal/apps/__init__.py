"""What the command-line tools consist of; the library does not import it."""

from ..errors import require_mmseg

require_mmseg('this tool')
