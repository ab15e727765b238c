"""Errors as a user reads them."""


def one_sentence(error: Exception) -> str:
    """The message of an error on one line, with its type where the message alone says little."""
    # A KeyError prints its message in quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('Caught ') and 'Original Traceback' in text:  # in a data loader's worker
        text = text.strip().splitlines()[-1].removeprefix(f'{type(error).__name__}: ')
    text = ' '.join(text.split())
    telling = isinstance(error, (ValueError, OSError, ImportError))
    return text if telling and text else f'{type(error).__name__}: {text}'
