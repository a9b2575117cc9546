"""A new vertical written by a command, and taken away again: `crossdomain new-vertical`."""
