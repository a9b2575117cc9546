"""Which way of working the labels allow: supervised, adapted from another line, good parts alone, golden parts."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadInputError

ENOUGH_DEFECTS = 50  # labelled defects from which a line stands on its own
FEW_DEFECTS = 10  # below this the target's own defects tell too little
MIN_GOOD = 4  # what one-class learners need at least


@dataclass(frozen=True)
class Recommendation:
    """way: as in `DefectOptions.way`. transfer, learner: for train in params.yaml. reason: one sentence of it."""

    way: str
    transfer: str
    learner: str
    reason: str


def recommend(
    num_good: int, num_defective: int, num_source_defective: int = 0, *, has_templates: bool = False
) -> Recommendation:
    """What the counts of labelled training pictures allow, the strongest way first.

    num_good, num_defective: of the target line. num_source_defective: of all source lines together. has_templates:
    every part has a golden reference of its own.

    Raises:
        BadInputError: a negative count, or nothing at all to learn from.
    """
    if min(num_good, num_defective, num_source_defective) < 0:
        raise BadInputError(f"Counts cannot be negative: {num_good}, {num_defective}, {num_source_defective}.")
    has_source, found = num_source_defective >= FEW_DEFECTS, _counted(num_defective)
    if num_defective >= ENOUGH_DEFECTS and num_good >= MIN_GOOD:
        return Recommendation(
            "supervised",
            "pooled" if has_source else "target_only",
            "image_probe",
            f"{found} in training: enough to learn what a defect is (from {ENOUGH_DEFECTS} on).",
        )
    if num_defective < FEW_DEFECTS and has_source:
        return Recommendation(
            "adapted",
            "aligned",
            "image_probe",
            f"The line has {found}, fewer than {FEW_DEFECTS}, and a source line has {num_source_defective}: its "
            "knowledge is moved over and aligned.",
        )
    if num_defective < FEW_DEFECTS and has_templates and num_good:
        return Recommendation(
            "template",
            "target_only",
            "golden_template",
            f"The line has {found}, and each part has a golden reference that it can be compared with.",
        )
    if num_defective < FEW_DEFECTS and num_good >= MIN_GOOD:
        return Recommendation(
            "good_only",
            "target_only",
            "memory_bank",
            f"The line has {found}, fewer than {FEW_DEFECTS}, no source line has enough, and {num_good} good parts "
            "are labelled: whatever is unlike them is shown.",
        )
    if num_defective >= FEW_DEFECTS and num_good:
        return Recommendation(
            "supervised",
            "pooled" if has_source else "target_only",
            "image_probe",
            f"{found} in training: few (fewer than {ENOUGH_DEFECTS}), but more than good parts alone would tell; "
            "label more of the doubtful ones.",
        )
    raise BadInputError(
        f"{num_good} good and {num_defective} defective pictures are labelled: too few for any way.",
        repair=f"Label {MIN_GOOD} good parts or more, or add a source line with labelled defects.",
    )


def _counted(num_defective: int) -> str:
    return "1 labelled defect" if num_defective == 1 else f"{num_defective or 'no'} labelled defects"
