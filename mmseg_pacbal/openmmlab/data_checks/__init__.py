"""Checks of data: of files, of samples, of the loaders of a config, and of what is loaded."""
