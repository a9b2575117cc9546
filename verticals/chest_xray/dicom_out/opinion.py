"""What the model says of one radiograph, as it goes into DICOM objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SYNTHETIC_NOTICE = "SYNTHETIC: the model learned from generated pictures. NOT FOR CLINICAL USE."
NOTICE = "Research software, no medical device: not for clinical use without a physician's own reading."


def notice(*, is_synthetic: bool) -> str:
    """The sentence that goes with every opinion."""
    return SYNTHETIC_NOTICE if is_synthetic else NOTICE


@dataclass(frozen=True)
class Opinion:
    """probability: of disease, calibrated, 0..1. decision: normal, finding or refer. threshold: the operating point.

    abstain: the model cannot tell. ood_reason: why the picture is none that the model can judge, where `is_ood`.
    is_synthetic: the model learned from generated pictures.
    """

    probability: float
    decision: str
    abstain: bool
    is_ood: bool
    ood_reason: str
    threshold: float
    model_version: str
    is_synthetic: bool

    @classmethod
    def of_row(cls, row: Mapping[str, Any], *, threshold: float, model_version: str, is_synthetic: bool) -> Opinion:
        """The opinion of a row that `predict_files` wrote for a scored picture."""
        return cls(
            probability=float(row["probability"]),
            decision=str(row["decision"]),
            abstain=bool(row["abstain"]),
            is_ood=bool(row.get("ood", False)),
            ood_reason=str(row.get("ood_reason", "")),
            threshold=threshold,
            model_version=model_version,
            is_synthetic=is_synthetic,
        )

    @property
    def notice(self) -> str:
        """What a reader must know before anything else."""
        return notice(is_synthetic=self.is_synthetic)

    @property
    def mark(self) -> str:
        """The notice in the words that fit a series' description (64 characters)."""
        return "SYNTHETIC, not for clinical use" if self.is_synthetic else "research, not for clinical use"
