# The Lovász loss on your own data, from scratch, with the head of pac_bal_folder.py: it led on
# CamVid at half size (docs/results.md#beside-other-losses) and takes longer.
_base_ = './pac_bal_folder.py'
model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='LovaszLoss', reduction='none')))
