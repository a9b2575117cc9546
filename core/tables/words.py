"""What a table vertical calls its decisions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableWords:
    """The words of decisions in tables that `predict` writes.

    doubtful: a row that a person has to look at, among them one that could not be read.
    """

    negative: str = "clear"
    positive: str = "flag"
    doubtful: str = "refer"
