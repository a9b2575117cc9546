"""Reasons for a score behind one surface."""
