"""What a person should know of pictures that were taken in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.labels import read_labels
from core.errors import BadInputError
from core.images.checking import PictureCheck, find_unlisted
from core.images.layouts import Listing
from core.images.picture_columns import IMAGE, PictureColumns


def new_column_notes(frame: pd.DataFrame, spec: DomainSpec) -> list[str]:
    """Notes on columns that domain.yaml has and the batch lacks, and the other way round."""
    known = {column.name for column in spec.raw_columns}
    added = [name for name in frame.columns if name not in known]
    absent = sorted(known - set(frame.columns))
    notes = [f"New columns, kept but not used until domain.yaml has them: {', '.join(added)}."] if added else []
    return notes + ([f"Columns of the domain that this batch lacks: {', '.join(absent)}."] if absent else [])


def check_notes(check: PictureCheck, frame: pd.DataFrame, listing: Listing, columns: PictureColumns) -> list[str]:
    """What a person should know of the pictures as files."""
    notes = [f"{count:,} pictures: {what}." for what, count in sorted(check.conversions.items())]
    if check.num_deep:
        notes.append(f"{check.num_deep:,} pictures have more than 8 bits; each is scaled by its own range.")
    if check.reasons:
        first = min(check.reasons)
        notes.append(
            f"{len(check.reasons):,} pictures were quarantined, for example row {listing.table.lines[first]}: "
            f"{check.reasons[first]}."
        )
    dropped = {row: reason for row, reason in check.mask_reasons.items() if row not in check.reasons}
    if dropped:
        notes.append(f"{len(dropped):,} masks were dropped, their pictures kept ({next(iter(dropped.values()))}).")
    if listing.layout == "list":
        listed = [name for name in frame[IMAGE] if name]
        unlisted = find_unlisted(check, listed, listing.root)
        if unlisted:
            notes.append(f"{len(unlisted):,} pictures in these folders are in no row, such as {unlisted[0]}.")
    if columns.declared.group is None:
        notes.append("No --group: pictures of one part, if there are several, may fall into two splits.")
    return notes


def label_notes(kept: pd.DataFrame, spec: DomainSpec, *, is_first: bool) -> tuple[list[str], int]:
    """Notes on the classes, and how many pictures have no label.

    Raises:
        BadInputError: the first batch is left without a good picture.
    """
    if spec.label_column is None or spec.label_column not in kept.columns:
        return [], len(kept)
    values = read_labels(kept[spec.label_column], spec).values
    num_bad, num_good, num_none = int((values == 1).sum()), int((values == 0).sum()), int(np.isnan(values).sum())
    notes = [f"{num_bad:,} defective, {num_good:,} good pictures."]
    if num_none:
        notes.append(f"{num_none:,} pictures have no label; kept as unlabelled.")
    if is_first and num_bad and not num_good:
        raise BadInputError("No good picture is left, only defects.", repair="Add good ones.")
    if not is_first and bool(num_bad) != bool(num_good):
        notes.append("This batch holds one class only.")
    return notes, num_none
