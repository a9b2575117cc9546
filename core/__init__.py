"""Crossdomain: knowledge moved from one domain to another, with proof that the move helped."""

__version__ = "0.1.0"
