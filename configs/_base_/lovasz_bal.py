# BAL with the best row of Table 1, and the Lovász loss.
_base_ = './bal.py'
lovasz_bal = [
    dict(**_base_.bal, normalize='mean'),
    dict(type='LovaszLoss', reduction='none'),
]
