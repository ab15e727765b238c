"""What every figure in the docs was measured with."""

import mmseg_pacbal  # noqa: F401 (before OpenMMLab, which needs its fixes; it registers all parts)
