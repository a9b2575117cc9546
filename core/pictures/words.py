"""The words of a vertical for what its pictures show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureWords:
    """negative, positive, doubtful: decisions; of `doubtful` a person should look. area: column of the marked share.

    finding: what is looked for, in a sentence.
    """

    negative: str = "good"
    positive: str = "defective"
    doubtful: str = "look"
    area: str = "defect_area"
    finding: str = "defect"
