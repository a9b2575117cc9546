"""A picture under its heat map as a secondary capture, with its notice burned in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.errors import BadParamsError
from verticals.chest_xray.dicom.elements import text_of
from verticals.chest_xray.dicom_out.identity import CAPTURE_SERIES, CHARACTER_SET, new_uid, study_identity
from verticals.chest_xray.dicom_out.opinion import Opinion
from verticals.chest_xray.dicom_out.structured_report import ALGORITHM, MANUFACTURER

if TYPE_CHECKING:
    from highdicom.sc import SCImage
    from pydicom.dataset import Dataset

MIN_SIDE_PX = 448  # so that the words below the picture can be read
LINE_PX, MARGIN_PX = 14, 6
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def secondary_capture(source: Dataset, opinion: Opinion, overlay: np.ndarray) -> SCImage:
    """The overlay, enlarged by a whole factor where small, over two lines that tell the opinion and the notice.

    Shape: overlay (H, W, 3) uint8, RGB.

    Raises:
        BadParamsError: the overlay is no RGB picture of 8 bits.
        BadInputError: the source lacks a UID that the reference needs.

    Source: DICOM PS3.3 A.8.1 (SC Image IOD), C.7.6.1 and C.12.4 (Source Image and Derivation Code Sequence).
    """
    from highdicom.sc import SCImage
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    if overlay.ndim != 3 or overlay.shape[2] != 3 or overlay.dtype != np.uint8:
        raise BadParamsError(f"The overlay must be (H, W, 3) uint8; got {overlay.shape} {overlay.dtype}.")
    identity = study_identity(source)
    capture = SCImage(
        pixel_array=with_words(overlay, opinion),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=identity.StudyInstanceUID,
        series_instance_uid=new_uid(),
        series_number=CAPTURE_SERIES,
        series_description=f"AI heat map: {opinion.mark}",
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=ALGORITHM,
        software_versions=opinion.model_version,
        patient_id=identity.PatientID,
        patient_name=identity.PatientName,
        patient_birth_date=identity.PatientBirthDate or None,
        patient_sex=identity.PatientSex or None,
        accession_number=identity.AccessionNumber,
        study_id=identity.StudyID,
        study_date=identity.StudyDate or None,
        study_time=identity.StudyTime or None,
        specific_character_set=CHARACTER_SET,
    )
    if "IssuerOfPatientID" in identity:
        capture.IssuerOfPatientID = identity.IssuerOfPatientID
    capture.PatientOrientation = capture.Laterality = None  # the source may not tell, and it is not to be guessed
    burned = text_of(source, "BurnedInAnnotation").upper()
    if burned in {"YES", "NO"}:  # of the person; the words that are burned in here name nobody
        capture.BurnedInAnnotation = burned
    capture.DerivationDescription = f"Heat map of {ALGORITHM} {opinion.model_version}"
    capture.ImageComments = opinion.notice
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = identity.SOPClassUID, identity.SOPInstanceUID
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    reference.PurposeOfReferenceCodeSequence = [CodedConcept(*purpose)]
    capture.SourceImageSequence = [reference]
    return capture


def with_words(overlay: np.ndarray, opinion: Opinion) -> np.ndarray:
    """(H', W', 3) uint8: the overlay with lines below it; words that leave the picture's width are wrapped."""
    from PIL import Image, ImageDraw, ImageFont

    factor = -(-MIN_SIDE_PX // min(overlay.shape[:2]))
    shown = overlay.repeat(factor, 0).repeat(factor, 1) if factor > 1 else overlay
    font = ImageFont.load_default()
    lines = []
    for text in (f"P(disease) {opinion.probability:.3f}, threshold {opinion.threshold:.3f}: {opinion.decision}",
                 *([f"Input check: {opinion.ood_reason}"] if opinion.ood_reason else []), opinion.notice):  # fmt: skip
        lines += _wrapped(text, font, shown.shape[1] - 2 * MARGIN_PX)
    height, width = shown.shape[:2]
    page = Image.new("RGB", (width, height + len(lines) * LINE_PX + 2 * MARGIN_PX), BLACK)
    page.paste(Image.fromarray(shown), (0, 0))
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((MARGIN_PX, height + MARGIN_PX + number * LINE_PX), line, fill=WHITE, font=font)
    return np.asarray(page)


def _wrapped(text: str, font: object, width_px: int) -> list[str]:
    """Lines of whole words that fit the width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
