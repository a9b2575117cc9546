"""Transfers: ways to make a target learner out of source and target rows. One file each.

Tables have no backbone whose weights could move, so what moves here are rows, boosters, scores and priors.
"""

from core.transfers.base import TRANSFERS, Transfer

__all__ = ["TRANSFERS", "Transfer"]
