"""What the command-line tools consist of; the library does not import it."""
