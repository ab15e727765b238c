"""The closed form of the map against the letter of its definition, on anything."""

import torch
from hypothesis import strategies as st

from mmseg_pacbal.ops import boundary_edges, boundary_weight_map
from mmseg_pacbal.ops.reference import boundary_weight_map_reference
from tests.property.strategies import EXAMPLES, check, generators, labels, map_options
from tests.reference import boundary_edges_reference


@EXAMPLES
def test_edges_equal_the_reference(examples):
    def holds(label, void_edges, ignore_padding):
        label, ignore_index = label
        options = dict(
            void_edges=void_edges, ignore_padding=ignore_padding, ignore_index=ignore_index
        )
        expected = boundary_edges_reference(label, **options)
        assert torch.equal(boundary_edges(label, **options).double(), expected)

    check(holds, examples, label=labels(), void_edges=st.booleans(), ignore_padding=st.booleans())


@EXAMPLES
def test_map_equals_the_reference(examples):
    def holds(label, options):
        label, ignore_index = label
        expected = boundary_weight_map_reference(label, ignore_index=ignore_index, **options)
        actual = boundary_weight_map(label, ignore_index=ignore_index, **options)
        assert actual.min() >= torch.tensor(options.get('beta', 0.5))  # as float32
        error = (actual - expected).abs().max()
        assert error <= 1e-5 * expected.max().clamp(min=1e-30)  # beta may be as good as 0

    check(holds, examples, label=labels(), options=map_options())


@EXAMPLES
def test_map_knows_classes_only_by_their_difference(examples):
    def holds(label, options, generator):
        label, ignore_index = label
        names = torch.randperm(200, generator=generator)
        names = names[names != ignore_index]
        renamed = torch.where(label == ignore_index, label, names[label.clamp(0, 100)])
        expected = boundary_weight_map(label, ignore_index=ignore_index, **options)
        actual = boundary_weight_map(renamed, ignore_index=ignore_index, **options)
        assert torch.equal(actual, expected)

    check(holds, examples, label=labels(), options=map_options(), generator=generators())
