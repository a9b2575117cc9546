"""Of a source file only what places a new object in its study: patient, study and the reference to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import BadInputError
from verticals.chest_xray.dicom.elements import integer_of, text_of
from verticals.chest_xray.dicom.tags import read_date

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# A study's objects must agree in these (PS3.3 C.7.1.1, C.7.2.1). Free texts, private elements and all else stay behind.
NEEDED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
IDENTITY = ("PatientName", "PatientID", "AccessionNumber", "StudyID")
SEXES = frozenset({"F", "M", "O"})
CHARACTER_SET = "ISO_IR 192"  # what is written; UTF-8 holds whatever name the source had
REPORT_SERIES, CAPTURE_SERIES = 9101, 9102  # series numbers tell nothing; high ones sort behind the acquired series


def study_identity(source: Dataset) -> Dataset:
    """A dataset of the source's patient, study and references, its texts decoded, and nothing more.

    Raises:
        BadInputError: it lacks a UID that a reference needs.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    identity = Dataset()
    identity.SpecificCharacterSet = CHARACTER_SET
    for name in NEEDED_UIDS:
        value = text_of(source, name)
        if not UID(value).is_valid:
            raise BadInputError(
                f"The DICOM file has no usable {name}.", repair="Without it no report can be placed in its study."
            )
        setattr(identity, name, value)
    for name in IDENTITY:
        setattr(identity, name, text_of(source, name))
    issuer = text_of(source, "IssuerOfPatientID")
    if issuer:
        identity.IssuerOfPatientID = issuer
    for name in ("PatientBirthDate", "StudyDate"):
        day = read_date(source, name)
        setattr(identity, name, "" if day is None else f"{day:%Y%m%d}")
    identity.StudyTime = _time_text(source)
    sex = text_of(source, "PatientSex").upper()
    identity.PatientSex = sex if sex in SEXES else ""
    identity.ReferringPhysicianName = ""
    identity.Modality = text_of(source, "Modality").upper() or "OT"
    for name in ("Rows", "Columns"):
        setattr(identity, name, integer_of(source, name))
    return identity


def _time_text(source: Dataset) -> str:
    from pydicom.valuerep import TM

    try:
        return str(TM(text_of(source, "StudyTime")) or "")
    except ValueError:
        return ""


def new_uid() -> str:
    """A UID that needs no registered root.

    Source: ISO/IEC 9834-8; DICOM PS3.5 B.2.
    """
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))
