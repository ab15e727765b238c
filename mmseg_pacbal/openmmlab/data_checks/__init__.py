"""Checks of data: of files, of samples, of the data loaders of a config, and during loading."""
