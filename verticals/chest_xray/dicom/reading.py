"""A DICOM file's bytes as one grey radiograph with its tags; whatever is none is refused with its own reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from verticals.chest_xray.dicom.levels import shown_pixels
from verticals.chest_xray.dicom.refusals import check_header
from verticals.chest_xray.dicom.stored_pixels import open_dataset, read_stored
from verticals.chest_xray.dicom.tags import CHEST_PARTS, RadiographTags, read_tags

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True)
class DicomPicture:
    """A radiograph without its person.

    pixels: (H, W) uint8 or uint16 over the full range, bright = dense as on a film. tags: no text of the file's own.
    notes: what was decided on the way, the same words for every file it happens to.
    """

    pixels: np.ndarray
    tags: RadiographTags
    notes: tuple[str, ...] = ()


def read_dicom(raw: bytes) -> DicomPicture:
    """The radiograph of a DICOM file: decoded, rescaled, windowed and turned so that dense is bright.

    Raises:
        BadImage: no DICOM file, another modality, no pixels, colour, multi-frame, damaged, no decoder for it, a side
            under 8 px, more than 100 megapixels, all pixels the same or padding; `reason` says which, and quotes
            nothing that could name a person.
    """
    return picture_of(open_dataset(raw))


def picture_of(dataset: Dataset) -> DicomPicture:
    """As `read_dicom`, of a file that `open_dataset` opened.

    Raises:
        BadImage: as `read_dicom`, save that it is a DICOM file.
    """
    notes = check_header(dataset)
    tags = read_tags(dataset)
    pixels, more_notes = shown_pixels(read_stored(dataset), dataset)
    return DicomPicture(pixels, tags, (*notes, *more_notes, *_tag_notes(tags)))


def _tag_notes(tags: RadiographTags) -> list[str]:
    notes = []
    if tags.has_burned_in_text:
        notes.append("text is burned into the pixels (BurnedInAnnotation YES): look whether it names a person")
    if tags.body_part is not None and tags.body_part not in CHEST_PARTS:
        notes.append(f"the examined body part is {tags.body_part}, not the chest")
    if tags.pixel_spacing_mm is not None:
        row, column = tags.pixel_spacing_mm
        if abs(row - column) > 0.01 * max(row, column):
            notes.append("its pixels are not square; they are kept as they are")
    return notes
