"""What a radiograph's tags tell without telling whose it is: every text is one of a short list."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from core.strict import STRICT
from verticals.chest_xray.dicom.elements import integer_of, items_of, number_of, text_of, value_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

VIEW_POSITIONS = {
    "AP": "AP",
    "PA": "PA",
    **dict.fromkeys(("LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"), "lateral"),
    **dict.fromkeys(("LLD", "RLD"), "decubitus"),
    **dict.fromkeys(("LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "OBLIQUE"), "oblique"),
}
VIEW_CODES = {  # SNOMED CT, and the SNOMED RT that older files have (CID 4010)
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("272479007", "R-10214", "R-40888"), "PA"),
    **dict.fromkeys(("399067008", "399173006", "399198007", "R-102CD", "R-10236", "R-10232"), "lateral"),
}
VIEW_WORDS = {
    "AP": re.compile(r"\bA\.?P\b|\bantero[- ]?posterior\b", re.IGNORECASE),
    "PA": re.compile(r"\bP\.?A\b|\bpostero[- ]?anterior\b", re.IGNORECASE),
    "lateral": re.compile(r"\b(?:[LR]\.?)?LAT(?:ERAL)?\b|\b(?:LL|RL)\b", re.IGNORECASE),
    "decubitus": re.compile(r"\bdecub", re.IGNORECASE),
    "oblique": re.compile(r"\bobl", re.IGNORECASE),
}
BODY_PARTS = frozenset(
    {"CHEST", "THORAX", "LUNG", "RIB", "RIBS", "CHESTABDOMEN", "BABYGRAM", "ABDOMEN", "PELVIS", "SPINE", "CSPINE",
     "TSPINE", "LSPINE", "SKULL", "HEAD", "NECK", "SHOULDER", "CLAVICLE", "ARM", "ELBOW", "FOREARM", "WRIST", "HAND",
     "FINGER", "HIP", "LEG", "FEMUR", "KNEE", "ANKLE", "FOOT", "TOE", "BREAST", "HEART", "EXTREMITY", "WHOLEBODY"}
)  # fmt: skip
CHEST_PARTS = frozenset({"CHEST", "THORAX", "LUNG", "RIB", "RIBS", "CHESTABDOMEN", "BABYGRAM", "HEART"})
MANUFACTURERS = (
    "agfa", "canon", "carestream", "del medical", "drgem", "fujifilm", "fuji", "ge", "hologic", "imaging dynamics",
    "kodak", "konica", "mindray", "philips", "samsung", "shimadzu", "siemens", "swissray", "toshiba", "varian",
    "vieworks",
)  # fmt: skip
MODALITIES = frozenset({"CR", "DX", "DR", "RG", "XR", "OT", "SC"})
AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
MAX_TOLD_AGE_YEARS = 90.0  # single years above 89 can point at a person (45 CFR 164.514)
MAX_AGE_YEARS = 130.0


@dataclass(frozen=True, config=STRICT)
class RadiographTags:
    """None: not told, or not believable.

    view: AP, PA, lateral, decubitus or oblique. laterality: R, L, B or U. age_years: 0 to 90, 90 standing for older.
    sex: F or M. pixel_spacing_mm: (between rows, between columns). body_part, manufacturer: one of the known words,
    else `other`. transfer_syntax: its name in the standard.
    """

    view: str | None = None
    laterality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    modality: str | None = None
    body_part: str | None = None
    manufacturer: str | None = None
    photometric: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    bits_stored: int | None = None
    is_signed: bool | None = None
    has_burned_in_text: bool | None = None
    transfer_syntax: str | None = None


def read_tags(dataset: Dataset) -> RadiographTags:
    """The tags that may leave the hospital; names, numbers, dates, institutions and free texts stay behind."""
    from pydicom.uid import UID

    meta = getattr(dataset, "file_meta", None)
    syntax = UID("" if meta is None else text_of(meta, "TransferSyntaxUID"))
    is_known = bool(syntax) and not syntax.is_private and syntax.name != syntax
    return RadiographTags(
        view=read_view(dataset),
        laterality=_one_of(text_of(dataset, "ImageLaterality") or text_of(dataset, "Laterality"), "RLBU"),
        age_years=read_age_years(dataset),
        sex=_one_of(text_of(dataset, "PatientSex"), "FM"),
        modality=_one_of(text_of(dataset, "Modality"), MODALITIES),
        body_part=_body_part(dataset),
        manufacturer=_manufacturer(dataset),
        photometric=_one_of(text_of(dataset, "PhotometricInterpretation"), {"MONOCHROME1", "MONOCHROME2"}),
        pixel_spacing_mm=_spacing(dataset),
        bits_stored=integer_of(dataset, "BitsStored"),
        is_signed={0: False, 1: True}.get(integer_of(dataset, "PixelRepresentation")),
        has_burned_in_text={"YES": True, "NO": False}.get(text_of(dataset, "BurnedInAnnotation").upper()),
        transfer_syntax=syntax.name if is_known else None,
    )


def read_view(dataset: Dataset) -> str | None:
    """The view by ViewPosition, else ViewCodeSequence, PatientOrientation, or the words of the descriptions."""
    view = VIEW_POSITIONS.get(text_of(dataset, "ViewPosition").upper())
    for item in [] if view else items_of(dataset, "ViewCodeSequence"):
        view = VIEW_CODES.get(text_of(item, "CodeValue")) or _view_in_words(text_of(item, "CodeMeaning"))
        if view:
            return view
    if view:
        return view
    if text_of(dataset, "PatientOrientation").upper() in {"A", "P"}:  # rows that run forward or back, not sideways
        return "lateral"
    for keyword in ("SeriesDescription", "AcquisitionDeviceProcessingDescription", "ProtocolName", "StudyDescription"):
        view = _view_in_words(text_of(dataset, keyword).replace("_", " "))
        if view:
            return view
    return None


def read_age_years(dataset: Dataset) -> float | None:
    """Age by PatientAge ('045Y', '008M'), else from the birth date to the study's: whole years from 2 on."""
    match = re.fullmatch(r"(\d{1,3})\s*([YMWD]?)", text_of(dataset, "PatientAge").upper())
    if match:
        years = int(match[1]) * AGE_UNITS[match[2] or "Y"]
    else:
        born = read_date(dataset, "PatientBirthDate")
        dates = (read_date(dataset, name) for name in ("StudyDate", "AcquisitionDate", "ContentDate", "SeriesDate"))
        taken = next((day for day in dates if day is not None), None)
        if born is None or taken is None or taken < born:
            return None
        years = (taken - born).days / 365.25
        if years >= 2:
            years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    if years > MAX_AGE_YEARS:
        return None
    return round(min(float(years), MAX_TOLD_AGE_YEARS), 2)


def read_date(dataset: Dataset, keyword: str) -> date | None:
    """A date element; None where it is absent or no date."""
    try:
        return datetime.strptime(text_of(dataset, keyword).replace(".", "")[:8], "%Y%m%d").date()
    except ValueError:
        return None


def _view_in_words(text: str) -> str | None:
    """The one view that a text names; None where it names none, or several ('PA and lateral')."""
    found = [view for view, words in VIEW_WORDS.items() if words.search(text)]
    return found[0] if len(found) == 1 else None


def _one_of(text: str, allowed: str | set[str] | frozenset[str]) -> str | None:
    word = text.upper()
    return word if word and word in set(allowed) else None


def _body_part(dataset: Dataset) -> str | None:
    text = re.sub(r"[^A-Z]", "", text_of(dataset, "BodyPartExamined").upper())
    return text if text in BODY_PARTS else "other" if text else None


def _manufacturer(dataset: Dataset) -> str | None:
    text = text_of(dataset, "Manufacturer").lower()
    found = next((name for name in MANUFACTURERS if re.search(rf"\b{name}\b", text)), None)
    return found or ("other" if text else None)


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Millimetres a pixel: calibrated where told, else at the detector or the scanner."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = value_of(dataset, keyword)
        row = number_of(dataset, keyword)
        try:
            column = float(value[1])
        except (TypeError, IndexError, ValueError, KeyError):
            continue
        if row is not None and 0 < row < 10 and 0 < column < 10:
            return round(row, 5), round(column, 5)
    return None
