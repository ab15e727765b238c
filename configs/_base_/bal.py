# Boundary-aware Loss with the best row of Table 1.
bal = dict(
    type='BoundaryAwareLoss',
    kernel='gaussian',
    kernel_size=35,
    sigma=3.0,
    beta=0.5,
    downsample=4,
)
