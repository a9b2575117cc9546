"""One DICOM file as a neutral PNG and its row of labels.csv."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from core.images.decoding import BadImage
from verticals.chest_xray.dicom.elements import text_of
from verticals.chest_xray.dicom.label_table import LabelTable
from verticals.chest_xray.dicom.pseudonyms import Pseudonyms
from verticals.chest_xray.dicom.reading import picture_of
from verticals.chest_xray.dicom.stored_pixels import open_dataset
from verticals.chest_xray.dicom.tags import RadiographTags, read_date

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NUM_DIGITS = 12  # of a refused file's SHA-256: enough to find it among one's own with sha256sum
PNG_EFFORT = 3  # of 9: a third of the time of the usual 6 for a few per cent more bytes


@dataclass(frozen=True)
class Converted:
    """name: neutral, of the DICOM file. key: of its SOP instance. digest: of its pixels. row: of labels.csv."""

    name: str
    path: Path
    key: str
    digest: str
    row: dict[str, str]
    notes: tuple[str, ...]
    has_patient: bool


@dataclass
class OneByOne:
    """Converts files into `folder`; the table (if any) tells labels, and patients where `group` names a column."""

    folder: Path
    pseudonyms: Pseudonyms
    table: LabelTable | None
    label: str
    group: str | None
    use_time: bool

    @staticmethod
    def neutral_name(place: str, raw: bytes) -> str:
        """The place in the order of files, and enough of the content's digest to find the file by."""
        return f"{place} (sha256 {hashlib.sha256(raw).hexdigest()[:NUM_DIGITS]})"

    def convert(self, name: str, path: Path, raw: bytes, cells: dict[str, str] | None) -> Converted:
        """Write the PNG of a file's bytes, unless one of the same SOP instance is there.

        Raises:
            BadImage: as `read_dicom`, or the list gives it two labels.
        """
        dataset = open_dataset(raw)
        picture = picture_of(dataset)
        cells = self._cells(dataset) if cells is None else cells
        uid = text_of(dataset, "SOPInstanceUID")
        key = self.pseudonyms.picture_key(uid) if uid else self.pseudonyms.content_key(raw)
        patient, study, has_patient = self._person(dataset, key, cells)
        file = self.folder / f"{key}.png"
        if not file.exists():
            Image.fromarray(picture.pixels).save(file, compress_level=PNG_EFFORT)
        row = cells | {"file": file.name, "label": cells.get(self.label, ""), "patient": patient, "study": study}
        row |= {name: text for name, text in _tag_cells(picture.tags).items() if text or name not in row}
        taken = read_date(dataset, "StudyDate") if self.use_time else None
        if taken is not None:
            row["study_month"] = taken.replace(day=1).isoformat()
        digest = hashlib.sha256(repr(picture.pixels.shape).encode() + picture.pixels.tobytes()).hexdigest()
        return Converted(name, path, key, digest, row, picture.notes, has_patient)

    def _cells(self, dataset: Dataset) -> dict[str, str]:
        """What a table joined by UID tells of a file."""
        if self.table is None:
            return {}
        rows = self.table.cells_of(text_of(dataset, self.table.keyword))
        words = {cells[self.label] for cells in rows if cells.get(self.label)}
        if len(words) > 1:
            raise BadImage("the list gives it two labels")
        return next((cells for cells in rows if cells.get(self.label)), rows[0] if rows else {})

    def _person(self, dataset: Dataset, key: str, cells: dict[str, str]) -> tuple[str, str, bool]:
        """(key of the patient, of the study, whether the patient is known); else the study or picture stands for it."""
        uid = text_of(dataset, "StudyInstanceUID")
        study = self.pseudonyms.study_key(uid) if uid else ""
        if self.group is not None:
            patient = self.pseudonyms.patient_key(cells.get(self.group, ""))
        else:
            issuer = text_of(dataset, "IssuerOfPatientID")
            patient = self.pseudonyms.patient_key(text_of(dataset, "PatientID"), issuer)
        return patient or f"no_id_{study or key}", study, patient is not None


def _tag_cells(tags: RadiographTags) -> dict[str, str]:
    """The tags as cells of labels.csv; the spacing is that between rows."""
    spacing = None if tags.pixel_spacing_mm is None else tags.pixel_spacing_mm[0]
    values = {
        "view": tags.view,
        "age": None if tags.age_years is None else f"{tags.age_years:g}",
        "sex": tags.sex,
        "laterality": tags.laterality,
        "body_part": tags.body_part,
        "manufacturer": tags.manufacturer,
        "pixel_spacing_mm": spacing,
        "bits_stored": tags.bits_stored,
        "photometric": tags.photometric,
    }
    return {name: "" if value is None else str(value) for name, value in values.items()}
