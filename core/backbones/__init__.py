"""Pretrained encoders, found, verified and loaded."""
