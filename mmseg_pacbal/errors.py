"""Errors as users see them."""

import importlib.util
import pickle

from .stack import version


class RefusedCheckpointError(pickle.UnpicklingError):
    """A checkpoint carries more than a checkpoint may, which could run code."""


def has_mmseg() -> bool:
    """Whether MMSegmentation is installed; a folder left behind by an uninstall does not count."""
    return getattr(importlib.util.find_spec('mmseg'), 'origin', None) is not None


def require_mmseg(what: str) -> None:
    """Raise ImportError unless MMSegmentation is installed; ``what`` names what needs it."""
    if not has_mmseg():
        raise ImportError(
            f'{what} needs MMSegmentation, which is not installed; to install it: '
            'pip install ".[lite]" in a clone of mmseg-pacbal, or "FILE.whl[lite]" with its wheel'
        )


# What to do about errors of others whose messages do not say it.
_REMEDIES = {
    'size in a batch should be the same': 'set val_dataloader.batch_size=1 and '
    'test_dataloader.batch_size=1 for images of several sizes, or resize them in the pipeline',
    'Expected more than 1 value per channel when training': 'a batch norm after global pooling '
    'needs two images or more: set train_dataloader.batch_size=2',
    ' has no argument ': 'where the base has it, _delete_=True beside type leaves it out',
    "but is of type <class 'NoneType'> in base config": 'then give all of it, also its type',
    "but is of type <class 'list'> in base config": 'a list is replaced as a whole: copy it '
    'whole, or name one of it by its number in an option',
}


def torchvision_for_torch() -> str:
    """What installs the torchvision of the torch that is there, from the index of its build.

    Each torchvision fits one version and build of torch, but accepts every build of the version.
    """
    torch, _, build = (version('torch') or '').partition('+')
    index = f' --index-url https://download.pytorch.org/whl/{build}' if build else ''
    return f'pip uninstall -y torchvision && pip install "torch=={torch}" torchvision{index}'


def one_sentence(error: Exception) -> str:
    """The message of an error on one line, with its type unless the message is clear without it."""
    # A KeyError prints its message in quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('Caught ') and 'Original Traceback' in text:  # in a data loader's worker
        text = text.strip().splitlines()[-1].removeprefix(f'{type(error).__name__}: ')
    text = ' '.join(text.split())
    remedy = next((words for known, words in _REMEDIES.items() if known in text), None)
    if 'operator torchvision::' in text and 'pip install' not in text:
        remedy = f'torchvision is of another build than torch: {torchvision_for_torch()}'
    text = f'{text.rstrip(".")}; {remedy}' if remedy else text
    telling = isinstance(error, (ValueError, OSError, ImportError))
    return text if telling and text else f'{type(error).__name__}: {text}'
