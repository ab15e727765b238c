"""Boundary IoU, trimap mIoU and boundary F1 for any PyTorch training, as a torchmetrics metric."""

import re
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ..ops.arguments import BOOL, INT, Accepted, check_arguments, is_int, none_or
from .boundary_quality import ACCEPTED, batch_counts, boundary_scores, no_counts
from .label_counts import class_mean

try:
    from torchmetrics import Metric
    from torchmetrics.utilities.plot import _AX_TYPE, _PLOT_OUT_TYPE
except ModuleNotFoundError as error:
    if error.name != 'torchmetrics':
        raise
    raise ImportError(
        'BoundaryQuality is a metric of torchmetrics, which is not installed; to install it: '
        'pip install torchmetrics'
    ) from None

PER_CLASS = '_per_class'  # ends the names of what holds a score of each class
_ACCEPTED = dict(
    ACCEPTED,
    num_classes=Accepted(
        'a positive integer up to 65535',
        lambda value: is_int(value) and 0 < value < 2**16,  # maps are uint16
    ),
    ignore_index=none_or(INT),
    per_class=BOOL,
)


class BoundaryQuality(Metric):
    r"""Quality of a semantic segmentation at its boundaries, with void.

    Three measures, over all classes that occur in prediction or label:

    - Boundary IoU (Cheng et al. 2021). Let :math:`G_c` and :math:`P_c` be the pixels of class
      :math:`c` in label and prediction, and :math:`G_{c,d}`, :math:`P_{c,d}` those of them that
      :math:`d` erosions by a 3x3 square remove, where the frame of the image counts as a
      boundary and :math:`d = \max(1, \mathrm{round}(\mathtt{ratio} \cdot \sqrt{H^2 + W^2}))`:

      .. math::
          \mathrm{BIoU}_c = \frac{\sum |G_{c,d} \cap P_{c,d}|}{\sum |G_{c,d} \cup P_{c,d}|}

    - Trimap IoU (Kohli et al. 2009, Chen et al. 2018). Let :math:`T_w` be the pixels, void left
      out, that are at most :math:`w` pixels in either direction from one with another label:

      .. math::
          \mathrm{TIoU}_{c,w} =
          \frac{\sum |G_c \cap P_c \cap T_w|}{\sum |(G_c \cup P_c) \cap T_w|}

    - Boundary F1 (Csurka et al. 2013). The contours :math:`\partial G_c` and :math:`\partial P_c`
      are the pixels of a class with another label among their eight neighbours, and
      :math:`[A]_B` those of :math:`A` that have one of :math:`B` at a Euclidean distance of at
      most :math:`\mathtt{tolerance} \cdot \sqrt{H^2 + W^2}`:

      .. math::
          \mathrm{precision}_c =
          \frac{\sum |[\partial P_c]_{\partial G_c}|}{\sum |\partial P_c|}, \quad
          \mathrm{recall}_c =
          \frac{\sum |[\partial G_c]_{\partial P_c}|}{\sum |\partial G_c|}

      .. math::
          \mathrm{BF1}_c = \frac{2 \cdot \mathrm{precision}_c \cdot \mathrm{recall}_c}
          {\mathrm{precision}_c + \mathrm{recall}_c}

    Sums are over all images since the last ``reset``, on all processes: pixels are counted, and
    scores of single images are never averaged. The counts are integers, so that the result does
    not depend on how the images are divided into batches and processes.

    *Void.* Where the label is ``ignore_index``, the prediction is made void too, before anything
    is counted. Void does not belong to any class, so nothing depends on what is predicted there; a
    class that borders on void has a boundary there.

    *Absent classes.* If a measure finds pixels of a class in neither prediction nor label, the
    class is left out of its mean (NaN with ``per_class``); if it finds them in only one of the two,
    the score is 0. A class that fills its images has no contour; its boundary F1 is 1 if it is in
    both prediction and label.

    ``forward`` (of the batch) and ``compute`` (of everything) return a ``dict`` of float64 tensors
    from 0 to 1 (float32 on MPS, which has no float64): ``mBIoU``, ``trimap_mIoU@W`` for each width
    W, and ``mBF1``, means over the classes that occur, scalars, NaN if none does; with
    ``per_class=True`` also the scores of all classes, (C,), under the same names followed by
    ``_per_class``.

    Args:
        num_classes: C.
        ratio: Width of the bands of Boundary IoU, as a share of the image's diagonal.
        widths: Widths of the trimaps, in pixels on either side of a boundary, increasing.
        tolerance: Largest distance at which contours match in boundary F1, as a share of the
            image's diagonal. If tolerance * diagonal is below 1, contours have to coincide.
        ignore_index: The void label; None if there is no void. If it is the number of a class, that
            class has no true pixels, and predicting it outside void counts as wrong.
        per_class: Whether the scores of all classes are returned along with the means.
        **kwargs: Those of every metric, such as ``sync_on_compute``; see the documentation of
            :class:`torchmetrics.Metric`.

    Raises:
        ValueError: An argument is not one of those above.

    References: Cheng et al., Boundary IoU, CVPR 2021. Kohli et al., Robust Higher Order Potentials
    for Enforcing Label Consistency, IJCV 2009. Chen et al., DeepLab, TPAMI 2018. Csurka et al.,
    What is a good evaluation measure for semantic segmentation?, BMVC 2013.

    Example:
        >>> import torch
        >>> from mmseg_pacbal.metrics import BoundaryQuality
        >>> target = torch.zeros(1, 8, 80, dtype=torch.long)
        >>> target[:, :, 40:] = 1
        >>> target[:, :, 75:] = 255  # void
        >>> preds = torch.zeros_like(target)
        >>> preds[:, :, 42:] = 1  # the edge is two pixels too far to the right
        >>> metric = BoundaryQuality(num_classes=3, widths=(4, 8), per_class=True)
        >>> metric.update(preds, target)
        >>> for name, score in metric.compute().items():
        ...     print(name, score.numpy().round(4))
        mBIoU 0.8643
        trimap_mIoU@4 0.7083
        trimap_mIoU@8 0.8375
        mBF1 0.25
        mBIoU_per_class [0.875  0.8537    nan]
        trimap_mIoU@4_per_class [0.6667 0.75      nan]
        trimap_mIoU@8_per_class [0.8   0.875   nan]
        mBF1_per_class [0.  0.5 nan]
    """

    full_state_update: bool = False
    is_differentiable: bool = False
    higher_is_better: bool = True
    plot_lower_bound: float = 0.0
    plot_upper_bound: float = 1.0

    def __init__(
        self,
        num_classes: int,
        ratio: float = 0.02,
        widths: Sequence[int] = (1, 2, 4, 8, 16, 32),
        tolerance: float = 0.0075,
        ignore_index: int | None = 255,
        per_class: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_arguments(
            _ACCEPTED,
            num_classes=num_classes,
            ratio=ratio,
            widths=widths,
            tolerance=tolerance,
            ignore_index=ignore_index,
            per_class=per_class,
        )
        self.num_classes = num_classes
        self.ratio = ratio
        self.widths = tuple(widths)
        self.tolerance = tolerance
        self.ignore_index = ignore_index
        self.per_class = per_class
        settings = dict(
            band=f'ratio_{ratio}',
            trimap=f'widths_{"_".join(map(str, widths))}',
            contour=f'tolerance_{tolerance}',
        )
        # MetricCollection merges metrics whose states have the same names and, after the first
        # update, the same values. Also, a state must not be loaded into a metric that counts
        # something else. So the names include the settings that the counts depend on.
        self._states = {
            name: re.sub(r'\W', '_', f'{name}_{setting}_void_{ignore_index}')
            for name, setting in settings.items()
        }
        for name, zeros in no_counts(num_classes, self.widths).items():
            self.add_state(self._states[name], torch.from_numpy(zeros), dist_reduce_fx='sum')

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add the counts of a batch.

        Args:
            preds: Logits or probabilities, floating point, (N, C, H, W), of which the class with
                the largest value is taken; or classes, integers or bool, (N, H, W).
            target: Classes 0..C-1 or ``ignore_index``, integers or bool, (N, H, W).

        Raises:
            TypeError: An input is not a tensor.
            ValueError: Shapes or dtypes are not those above, a value is neither a class nor, in
                ``target``, ``ignore_index``, or logits outside void are NaN. Nothing is counted
                then.
        """
        settings = dict(ratio=self.ratio, widths=self.widths, tolerance=self.tolerance)
        counts = batch_counts(preds, target, self.num_classes, self.ignore_index, **settings)
        for name, count in counts.items():
            total = getattr(self, self._states[name])
            # Not in place, since the total may be a tensor of inference mode.
            setattr(self, self._states[name], total + torch.from_numpy(count).to(total.device))

    def compute(self) -> dict[str, Tensor]:
        """Scores of everything counted since the last ``reset``, on all processes."""
        counts = {name: getattr(self, state).cpu().numpy() for name, state in self._states.items()}
        of_classes = boundary_scores(counts, self.widths)
        scores: dict[str, Any] = {name: class_mean(score) for name, score in of_classes.items()}
        if self.per_class:
            scores |= {name + PER_CLASS: score for name, score in of_classes.items()}
        dtype = torch.float32 if self.device.type == 'mps' else torch.float64
        return {
            name: torch.as_tensor(score, dtype=dtype, device=self.device)
            for name, score in scores.items()
        }

    def plot(
        self,
        val: dict[str, Tensor] | Sequence[dict[str, Tensor]] | None = None,
        ax: _AX_TYPE | None = None,
    ) -> _PLOT_OUT_TYPE:
        """Plot one result, or several as they follow each other in time.

        Args:
            val: A result of ``forward`` or ``compute``, or a list of them; None calls ``compute``.
                With ``per_class`` a single result is drawn class by class; of several results only
                the means are drawn.
            ax: Where to draw; None makes a new figure.

        Returns:
            The figure (None if ``ax`` was given) and the axis.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.

        Example:
            >>> import torch
            >>> from mmseg_pacbal.metrics import BoundaryQuality
            >>> metric = BoundaryQuality(num_classes=3)
            >>> classes = torch.arange(48).reshape(1, 6, 8) // 16
            >>> figure, ax = metric.plot([metric(classes, classes) for _ in range(2)])
        """
        val = self.compute() if val is None else val
        if not isinstance(val, dict):
            means = [
                {n: s for n, s in result.items() if not n.endswith(PER_CLASS)} for result in val
            ]
            return self._plot(means, ax)
        of_classes = [name for name in val if name.endswith(PER_CLASS)]
        classes = {name.removesuffix(PER_CLASS): val[name] for name in of_classes}
        figure, drawn = self._plot(classes or val, ax)
        if classes:
            cast(Any, drawn).set_xlabel('Class')  # instead of a step
        return figure, drawn
