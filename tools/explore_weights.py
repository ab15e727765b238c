"""Choose the weights by eye: python tools/explore_weights.py [CONFIG | --labels FOLDER]

Opens a page on this machine (pip install "gradio>=6"): pick a label of the config's
training data or of a folder, or upload one, and see the weights E_G of two settings side by side
while you move their sliders. Without CONFIG and --labels it takes the demo's generated data.
With --checkpoint it also shows the loss of every pixel. docs/choose_weights.md explains it.
"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('explore_weights')
