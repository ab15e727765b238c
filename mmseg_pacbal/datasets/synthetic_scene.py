"""Synthetic scenes with every hard case of the paper's section 3.1, also as a data set of PyTorch.

Boundaries everywhere; complicated outlines and thin parts (star, ring, bar); objects that
overlap, touch or leave the frame; objects under 100 pixels.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..ops.arguments import POSITIVE_INT, check_arguments, int_from
from .palette import VOID, voc_colormap

CLASSES = ('background', 'disk', 'box', 'ring', 'bar', 'star', 'triangle')
PALETTE = voc_colormap()[: len(CLASSES)].tolist()
MIN_SIDE = 64

# Scenes of another version are different data: raise it with every change of the pixels.
VERSION = 1
_TEXTURES = ('', 'checks', 'stripes', 'dots', 'coarse', 'fine', 'gradient')


def void_rim(label: np.ndarray) -> np.ndarray:
    """A copy of a label, uint8 (H, W), with 255 wherever one of the 4 neighbours has another value.

    This marks outlines as void, a band of 2 pixels, one on either side of every change of class.
    """
    # The cross keeps thin diagonals, yet leaves no two classes in contact, not even at a corner.
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    changes = cv2.dilate(label, cross) != cv2.erode(label, cross)
    return np.where(changes, np.uint8(VOID), label)


def _noise(rng: np.random.Generator, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Gaussian noise smoothed over `sigma` pixels, squashed to 0..1, float32 (H, W)."""
    noise = cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), sigma)
    return 0.5 + 0.5 * np.tanh(noise / noise.std())


def _texture(rng: np.random.Generator, family: str, size: tuple[int, int]) -> np.ndarray:
    """One texture of a family, values 0..1, float32 (H, W)."""
    if family in ('coarse', 'fine'):
        return _noise(rng, size, 3.0 if family == 'coarse' else 0.7)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    angle = rng.uniform(-0.35, 0.35)  # it varies little, being characteristic of the family
    period = rng.uniform(60, 120) if family == 'gradient' else rng.uniform(5, 8)
    u = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period) + rng.uniform(0, 6)
    v = (y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period) + rng.uniform(0, 6)
    if family == 'checks':
        wave = np.tanh(4 * np.sin(u) * np.sin(v))
    elif family == 'dots':
        wave = np.tanh(3 * (np.cos(u) + np.cos(v) - 0.6))
    else:
        wave = np.sin(u)
    return (0.5 + 0.5 * wave).astype(np.float32)


def _colour(rng: np.random.Generator, hue: float, value: float) -> np.ndarray:
    """An RGB colour near a hue in degrees and a value in 0..255, float32 (3,)."""
    hue = rng.normal(hue, 25) % 360 / 2  # 60 apart and spread by 25: neighbours overlap
    hsv = np.array([[[hue, rng.uniform(70, 200), value]]]).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _coloured(rng: np.random.Generator, field: np.ndarray, hue: float) -> np.ndarray:
    """Colour a texture (H, W) with a dark and a light tone of a hue, float32 (H, W, 3)."""
    dark = _colour(rng, hue, rng.uniform(40, 110))
    light = _colour(rng, hue, rng.uniform(150, 250))
    return dark + field[..., None] * (light - dark)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A cloudy background with blobs and strokes of any colour, float32 (H, W, 3) in 0..255."""
    hue = rng.uniform(0, 360)
    field = 0.6 * _noise(rng, size, 12) + 0.4 * _noise(rng, size, 1.5)
    image: np.ndarray = 0.7 * _coloured(rng, field, hue) + 0.3 * rng.uniform(60, 200)
    height, width = size
    for _ in range(rng.integers(4, 9)):
        clutter = image.copy()
        colour = _colour(rng, rng.uniform(0, 360), rng.uniform(60, 230)).tolist()
        first, second = rng.integers(0, (width, height), (2, 2)).tolist()
        if rng.random() < 0.5:
            cv2.line(clutter, first, second, colour, int(rng.integers(1, 3)), cv2.LINE_AA)
        else:
            axes = rng.integers(3, 20, 2).tolist()
            cv2.ellipse(clutter, first, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        image = cv2.addWeighted(image, 0.6, clutter, 0.4, 0)
    return image


def _regular(radius: float | np.ndarray, corners: int, angle: float) -> np.ndarray:
    """Corners (N, 2) as x, y around the origin; `radius` in pixels, for all or for each corner."""
    theta = angle + np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.cos(theta), np.sin(theta)], 1) * np.reshape(radius, (-1, 1))


def _outline(rng: np.random.Generator, name: str, radius: float) -> list[tuple[np.ndarray, int]]:
    """Polygons (N, 2) of a class and the value that fills each: 1 for the object, 0 for a hole."""
    angle = rng.uniform(0, 2 * np.pi)
    if name in ('disk', 'ring'):
        circle = _regular(radius, 48, angle) * (1, rng.uniform(0.8, 1))
        return [(circle, 1)] + [(rng.uniform(0.5, 0.65) * circle, 0)] * (name == 'ring')
    if name == 'triangle':
        return [(_regular(radius * rng.uniform(0.9, 1.1, 3), 3, angle), 1)]
    if name == 'star':
        points = int(rng.integers(5, 8))
        radii = np.tile([radius, radius * rng.uniform(0.4, 0.55)], points)
        return [(_regular(radii, 2 * points, angle), 1)]
    side = radius * rng.uniform(0.5, 0.85, 2)
    angles: Iterable[float] = [angle]
    if name == 'bar':
        # The fill includes its outline, so this becomes 3 or 4 pixels across.
        side = np.array([radius * 1.1, rng.uniform(1.2, 1.7)])
        angles = angle + np.arange(rng.integers(1, 4)) * rng.uniform(0.6, 1.0)
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side
    turns = [np.array([(np.cos(a), np.sin(a)), (-np.sin(a), np.cos(a))]) for a in angles]
    return [(box @ turn, 1) for turn in turns]


def _patch(outline: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Fill an outline in a square of odd side around its origin, uint8 0 or 1, with a margin."""
    reach = int(max(np.abs(polygon).max() for polygon, _ in outline)) + 3
    patch = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    for polygon, value in outline:
        # 4 fractional bits keep thin parts evenly thin at any angle.
        cv2.fillPoly(patch, [np.round((polygon + reach) * 16).astype(np.int32)], value, shift=4)
    return patch


def _centres(label: np.ndarray, patch: np.ndarray, class_id: int, relation: str) -> np.ndarray:
    """Where a patch can be centred so that it has a relation to what is painted, (N, 2) as y, x."""

    def shared(painted: np.ndarray, shape: np.ndarray) -> np.ndarray:
        ground = painted.astype(np.float32)
        count = cv2.filter2D(ground, -1, shape.astype(np.float32), borderType=cv2.BORDER_CONSTANT)
        return np.round(count)

    around = cv2.dilate(patch, np.ones((3, 3), np.uint8))
    # Objects of one class stay apart, so that every outline is a change of class.
    allowed = shared(label == class_id, around) == 0
    covered = shared(label > 0, patch)
    if relation == 'apart':
        allowed &= shared(label > 0, around) == 0
    elif relation == 'touch':
        allowed &= (covered == 0) & (shared(label > 0, around) > 0)
    elif relation == 'overlap':
        allowed &= (covered > 0.15 * patch.sum()) & (covered < 0.7 * patch.sum())
    # At most half of an object is cut off by the frame.
    allowed &= shared(np.ones_like(label), patch) > 0.5 * patch.sum()
    return np.argwhere(allowed)


def _plan(rng: np.random.Generator, side: int) -> Iterator[tuple[int, float, str]]:
    """Class, radius in pixels and relation of 3 to 7 objects, the small ones of fixed size last."""
    count = int(rng.integers(3, 8))
    kinds = rng.permutation(np.arange(1, len(CLASSES)))
    small = int(rng.integers(1, 3)) if count > 3 else int(rng.integers(0, 2))
    for index in range(count):
        class_id = int(kinds[index % len(kinds)])
        if index >= count - small:
            yield class_id, rng.uniform(4, 5.5), 'any'
        else:
            relation = 'apart' if index == 0 else str(rng.choice(['apart', 'touch', 'overlap']))
            yield class_id, rng.uniform(0.1, 0.24) * side, relation


def render_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Paint one scene, height and width at least `MIN_SIDE`, later objects over earlier ones.

    Returns:
        The RGB image, uint8 (H, W, 3), and the crisp label without void, uint8 (H, W).
    """
    image = _background(rng, size)
    label = np.zeros(size, np.uint8)
    for class_id, radius, relation in _plan(rng, min(size)):
        patch = _patch(_outline(rng, CLASSES[class_id], radius))
        centres = _centres(label, patch, class_id, relation)
        if not len(centres):
            centres = _centres(label, patch, class_id, 'any')
        if not len(centres):
            continue  # only a second object of a class can have no place at all
        y, x = rng.choice(centres)
        reach = patch.shape[0] // 2
        mask = np.pad(np.zeros_like(label), reach)
        mask[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
        mask = mask[reach:-reach, reach:-reach]
        label[mask > 0] = class_id
        alpha = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0.6)[..., None]
        texture = _texture(rng, _TEXTURES[class_id], size)
        image += alpha * (_coloured(rng, texture, 60 * class_id) - image)
    image += rng.normal(0, 10, image.shape)
    return image.clip(0, 255).astype(np.uint8), label


class SyntheticScenes(Dataset):
    """Images with their labels, rendered once; see :mod:`mmseg_pacbal.datasets.synthetic_scene`.

    An element is an image, (3, H, W), float32 with mean 0 and standard deviation 1, and its
    label, (H, W), int64: a class, or 255 (void) along every outline.

    Args:
        length: Number of images.
        size: Height and width, in pixels.
        seed: Data sets of another seed hold other images.

    Raises:
        ValueError: An argument is not one of those above.
    """

    classes: ClassVar[tuple[str, ...]] = CLASSES
    ignore_index: ClassVar[int] = VOID

    def __init__(self, length: int, size: int = 96, seed: int = 0) -> None:
        accepted = dict(length=POSITIVE_INT, size=int_from(MIN_SIDE), seed=int_from(0))
        check_arguments(accepted, length=length, size=size, seed=seed)
        self._samples = [self._render(size, seed, index) for index in range(length)]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._samples[index]

    @staticmethod
    def _render(size: int, seed: int, index: int) -> tuple[Tensor, Tensor]:
        scene, crisp = render_scene(np.random.default_rng((seed, index)), (size, size))
        image = torch.from_numpy(scene).permute(2, 0, 1).float()
        return (image - image.mean()) / image.std(), torch.from_numpy(void_rim(crisp)).long()
