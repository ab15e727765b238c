"""Programs: all that knows a command line."""
