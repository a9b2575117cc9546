"""Retraining of verticals that predict a number: how they are watched, fitted and judged."""
