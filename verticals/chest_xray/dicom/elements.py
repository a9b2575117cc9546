"""Values of DICOM elements, read so that one damaged element makes no file unreadable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The element's value; None where it is absent, empty or cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts on access; what a damaged element raises depends on its kind
        return None
    return None if value is None or value == "" or (isinstance(value, Sequence) and not len(value)) else value


def text_of(dataset: Dataset, keyword: str) -> str:
    """The (first) value as a stripped text; empty where there is none."""
    value = value_of(dataset, keyword)
    if value is not None and isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0]
    return "" if value is None else str(value).replace("\0", "").strip()


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """The (first) value as a finite number; None where there is none."""
    try:
        number = float(text_of(dataset, keyword))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def integer_of(dataset: Dataset, keyword: str) -> int | None:
    """The (first) value as a whole number; None where there is none."""
    number = number_of(dataset, keyword)
    return int(number) if number is not None and number == int(number) else None


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent or cannot be read."""
    from pydicom.sequence import Sequence as DicomSequence

    value = value_of(dataset, keyword)
    return list(value) if isinstance(value, DicomSequence) else []
