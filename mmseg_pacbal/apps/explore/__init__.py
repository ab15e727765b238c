"""A local page on which the arguments of the boundary weights are chosen by eye."""
