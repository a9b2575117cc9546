"""Stored grey levels as a film shows them: modality LUT or rescale, VOI LUT or window, inversion.

All of it acts on the table of levels that occur (65,536 at most), so a picture of any size is one look-up. pydicom's
`apply_voi_lut` is not used: it indexes a look-up table of 8-bit entries with 8-bit numbers, which wraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.images.decoding import BadImage
from core.images.fitting import RANGE_PERCENTILES
from verticals.chest_xray.dicom.elements import integer_of, items_of, number_of, text_of, value_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class LookUpTable:
    """entries: (n,) of `bits` bits, the first standing for the input `first`; inputs beyond an end take that end."""

    entries: np.ndarray
    first: int
    bits: int

    def look_up(self, values: np.ndarray) -> np.ndarray:
        """The entries for values of any range.

        Source: DICOM PS3.3 C.11.1.1 and C.11.2.1.1.
        """
        return self.entries[np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)]


def shown_pixels(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, list[str]]:
    """(pixels with bright = dense, notes): uint8 where the last table or the file has 8 bits at most, else full uint16.

    Shape: stored (H, W) integers; pixels (H, W). Padding becomes black.

    Raises:
        BadImage: all pixels are padding, or all the same.
    """
    low = int(stored.min())
    places = (stored.astype(np.int32) - low).ravel()
    counts = np.bincount(places)
    levels = np.arange(low, low + len(counts))
    is_padding = _is_padding(levels, dataset)
    counts = np.where(is_padding, 0, counts)
    if not counts.any():
        raise BadImage("all its pixels are padding")
    if np.count_nonzero(counts) == 1:
        raise BadImage("all its pixels are the same")
    fraction, is_deep, notes = _shown_fraction(levels, counts, dataset)
    if _is_inverted(dataset, notes):
        fraction = 1 - fraction
    if is_padding.any():
        notes.append("padding made black")
    fraction = np.where(is_padding, 0, fraction)
    table = np.rint(fraction * (65535 if is_deep else 255)).astype(np.uint16 if is_deep else np.uint8)
    return table[places].reshape(stored.shape), notes


def window_fraction(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Values through a window, 0 at its lower end and 1 at its upper.

    Shape: values of any shape. width >= 1 for LINEAR, > 0 for the others.

    Source: DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(float)
    return np.clip((values - center) / width + 0.5, 0, 1)


def _shown_fraction(levels: np.ndarray, counts: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, bool, list[str]]:
    """(fraction of each level 0..1, whether it has more than 8 bits, notes)."""
    is_signed = integer_of(dataset, "PixelRepresentation") == 1
    values, ends, bits, notes = _modality_values(levels, dataset, is_signed=is_signed)
    table, table_note = _read_table(dataset, "VOILUTSequence", is_signed=bool(values.min() < 0))
    notes += table_note
    if table is not None:
        fraction, bits, what = table.look_up(values) / _full_range(table), table.bits, "look-up table"
    else:
        fraction, what = _windowed(values, dataset, notes), "window"
    if fraction is not None and np.ptp(fraction[counts > 0]) > 0:
        return fraction, bits > 8, notes
    if fraction is not None:
        notes.append(f"its VOI {what} shows nothing and was passed over")
    if bits > 8:
        ends = _range_of(values, counts)
        notes.append("no window: spread between its 0.1 and 99.9 percentiles")
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1), bits > 8, notes


def _modality_values(
    levels: np.ndarray, dataset: Dataset, *, is_signed: bool
) -> tuple[np.ndarray, tuple[float, float], int, list[str]]:
    """(values, the least and greatest they could be, bits, notes) after the modality's LUT or rescale.

    Source: DICOM PS3.3 C.11.1.
    """
    table, notes = _read_table(dataset, "ModalityLUTSequence", is_signed=is_signed)
    if table is not None:
        return table.look_up(levels).astype(float), (0.0, _full_range(table)), table.bits, notes
    bits = integer_of(dataset, "BitsStored")
    low = -(1 << (bits - 1)) if is_signed else 0
    ends = np.array([low, low + (1 << bits) - 1], dtype=float)
    slope, intercept = number_of(dataset, "RescaleSlope"), number_of(dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        slope, intercept = 1.0, 0.0
    elif not slope or intercept is None:
        notes.append("its rescale slope or intercept cannot be used and was passed over")
        slope, intercept = 1.0, 0.0
    ends = ends * slope + intercept
    return levels * slope + intercept, (float(ends.min()), float(ends.max())), bits, notes


def _windowed(values: np.ndarray, dataset: Dataset, notes: list[str]) -> np.ndarray | None:
    """The fraction by the first window; None where there is none that can be used."""
    center, width = number_of(dataset, "WindowCenter"), number_of(dataset, "WindowWidth")
    if center is None and width is None:
        return None
    function = text_of(dataset, "VOILUTFunction").upper() or "LINEAR"
    if function not in FUNCTIONS:
        notes.append("its window's function is unknown and read as linear")
        function = "LINEAR"
    if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        notes.append("its window cannot be used and was passed over")
        return None
    return window_fraction(values, center, width, function)


def _range_of(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The picture's percentiles, or its least and greatest value where these are the same."""
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    share = np.cumsum(counts) / counts.sum()
    low, high = (values[np.searchsorted(share, percent / 100)] for percent in RANGE_PERCENTILES)
    if low == high:
        present = values[counts > 0]
        low, high = present[0], present[-1]
    return float(low), float(high)


def _read_table(dataset: Dataset, keyword: str, *, is_signed: bool) -> tuple[LookUpTable | None, list[str]]:
    """The first look-up table of a sequence, and a note where it cannot be used."""
    items = items_of(dataset, keyword)
    if not items:
        return None, []
    try:
        count, first, bits = (int(number) for number in value_of(items[0], "LUTDescriptor"))
        data, count = value_of(items[0], "LUTData"), count or 65536
        if isinstance(data, bytes):
            is_packed = len(data) < 2 * count  # two entries of 8 bits in each word
            is_little = dataset.original_encoding[1] is not False
            data = np.frombuffer(data, np.uint8 if is_packed else "<u2" if is_little else ">u2")
        entries = np.asarray(data, dtype=np.int64)[:count]
        if not 1 <= bits <= 16 or len(entries) != count or entries.min() < 0:
            raise ValueError
    except (TypeError, ValueError):
        return None, [f"its {'VOI' if keyword.startswith('VOI') else 'modality'} look-up table cannot be used"]
    if is_signed and first > 32767:  # written as an unsigned number
        first -= 65536
    return LookUpTable(entries, first, bits), []


def _full_range(table: LookUpTable) -> float:
    """The greatest number its bits can hold; a table whose entries exceed that goes by its entries."""
    return float(max((1 << table.bits) - 1, int(table.entries.max())))


def _is_inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Whether the least value is white.

    A DX picture that is MONOCHROME1 says INVERSE as well, which means one inversion and not two.

    Source: DICOM PS3.3 C.8.11.3 (Presentation LUT Shape).
    """
    is_white_low = text_of(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    is_inverse = text_of(dataset, "PresentationLUTShape").upper() == "INVERSE"
    if is_inverse and not is_white_low:
        notes.append("MONOCHROME2 with an inverse presentation: inverted")
    return is_white_low or is_inverse


def _is_padding(levels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """(n,) bool: levels between the padding value and its range limit.

    Source: DICOM PS3.3 C.7.5.1.1.2.
    """
    value, limit = integer_of(dataset, "PixelPaddingValue"), integer_of(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return np.zeros(len(levels), dtype=bool)
    limit = value if limit is None else limit
    if integer_of(dataset, "PixelRepresentation") == 1:  # either may be written as an unsigned number
        size = 1 << integer_of(dataset, "BitsAllocated")
        value, limit = (number - size if number >= size // 2 else number for number in (value, limit))
    return (levels >= min(value, limit)) & (levels <= max(value, limit))
