"""Domains, manifests, splits, checks: everything between raw files and Samples."""
