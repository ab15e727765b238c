"""Export a checkpoint to ONNX and verify it: python tools/export_onnx.py CONFIG CHECKPOINT"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('export_onnx')
