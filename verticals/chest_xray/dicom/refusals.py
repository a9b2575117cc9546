"""What a DICOM file's header tells that it is: a single grey radiograph, or refused with its own short reason.

Reasons never quote a value of the file beyond the standard's own words, so that none of them can name a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.images.decoding import MAX_PIXELS, MIN_SIDE_PX, BadImage
from verticals.chest_xray.dicom.elements import integer_of, text_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RADIOGRAPH_MODALITIES = frozenset({"CR", "DX", "DR", "RG", "XR"})
UNSURE_MODALITIES = frozenset({"", "OT", "SC"})
OTHER_MODALITIES = {
    "CT": "a CT slice",
    "MR": "an MR slice",
    "PT": "a PET slice",
    "NM": "a nuclear medicine picture",
    "US": "an ultrasound picture",
    "MG": "a mammogram",
    "RF": "fluoroscopy",
    "XA": "an angiogram",
    "PX": "a dental panorama",
    "IO": "a dental radiograph",
    "DXA": "a bone densitometry",
    "BMD": "a bone densitometry",
    "SEG": "a segmentation",
    "RTDOSE": "a radiotherapy dose",
    "RTIMAGE": "a radiotherapy picture",
    "ES": "an endoscopy",
    "XC": "a photograph",
    "SM": "a microscopy slide",
    "SR": "a structured report",
    "PR": "a presentation state",
    "ECG": "an electrocardiogram",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a radiotherapy structure set",
}
RADIOGRAPH_CLASSES = frozenset(
    "1.2.840.10008.5.1.4.1.1." + ending
    # CR, DX for presentation and for processing, secondary capture (single, multi-frame grey byte, grey word)
    for ending in ("1", "1.1", "1.1.1", "7", "7.2", "7.3")
)
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT",
          "YBR_RCT", "HSV", "ARGB", "CMYK")  # fmt: skip


def check_header(dataset: Dataset) -> list[str]:
    """Notes on a header that may be a radiograph's; nothing is decoded.

    Raises:
        BadImage: another modality or SOP class, no pixels, colour, several frames, or a size or depth not read here.
    """
    notes = _check_kind(dataset)
    _check_photometric(dataset)
    num_frames = integer_of(dataset, "NumberOfFrames")
    if text_of(dataset, "NumberOfFrames") and num_frames is None:
        raise BadImage("its number of frames cannot be read")
    if num_frames is not None and num_frames > 1:
        raise BadImage(f"multi-frame ({num_frames:,} pictures in one file)")
    _check_size(dataset)
    _check_depth(dataset)
    return notes


def _check_kind(dataset: Dataset) -> list[str]:
    from pydicom.uid import UID

    sop_class = text_of(dataset, "SOPClassUID")
    meta = getattr(dataset, "file_meta", None)
    if DIRECTORY_CLASS in (sop_class, "" if meta is None else text_of(meta, "MediaStorageSOPClassUID")):
        raise BadImage("a DICOMDIR: an index of files, no picture")
    modality = text_of(dataset, "Modality").upper()
    if modality in OTHER_MODALITIES:
        raise BadImage(f"{OTHER_MODALITIES[modality]} (modality {modality}), no radiograph")
    if sop_class and sop_class not in RADIOGRAPH_CLASSES:
        name = UID(sop_class).name
        known = name if name != sop_class and not UID(sop_class).is_private else "a class not in the standard"
        raise BadImage(f"its SOP class is no radiograph's ({known})")
    if modality not in RADIOGRAPH_MODALITIES | UNSURE_MODALITIES:
        raise BadImage("its modality is no radiograph's")
    if "PixelData" not in dataset:
        deep = " (32 or 64-bit numbers are not read)" if "FloatPixelData" in dataset else ""
        raise BadImage(f"DICOM without pixels{deep}")
    notes = []
    if modality in UNSURE_MODALITIES:
        notes.append("the modality does not say that it is a radiograph")
    if sop_class == FOR_PROCESSING or text_of(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        notes.append("a raw picture for processing, not as a reader sees it")
    return notes


def _check_photometric(dataset: Dataset) -> None:
    """Raise BadImage for what is not grey with one sample a pixel."""
    photometric = text_of(dataset, "PhotometricInterpretation").upper()
    samples = integer_of(dataset, "SamplesPerPixel")
    if photometric in COLOUR:
        raise BadImage(f"colour ({photometric}), no grey radiograph")
    if photometric not in GREY:
        what = "is not one of the standard" if photometric else "is missing"
        raise BadImage(f"its photometric interpretation {what}")
    if samples is None:
        raise BadImage("its number of samples a pixel is missing")
    if samples != 1:
        raise BadImage(f"wrong photometric interpretation ({photometric} with {samples} samples a pixel)")


def _check_size(dataset: Dataset) -> None:
    """Raise BadImage for too many or too few pixels."""
    height, width = integer_of(dataset, "Rows"), integer_of(dataset, "Columns")
    if not height or not width or height < 0 or width < 0:
        raise BadImage("its number of rows or columns is missing")
    if height * width > MAX_PIXELS:
        raise BadImage(f"{width:,} x {height:,} px are more than the allowed {MAX_PIXELS:,} pixels")
    if min(height, width) < MIN_SIDE_PX:
        raise BadImage(f"{width} x {height} px is too small (a side needs {MIN_SIDE_PX} px)")


def _check_depth(dataset: Dataset) -> None:
    """Raise BadImage for other than 8 or 16 bits allocated, or depths that contradict each other."""
    allocated, stored, high = (integer_of(dataset, name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in {8, 16}:
        raise BadImage(f"{'unknown' if allocated is None else allocated} bits allocated; 8 and 16 are read")
    if stored is None or not 2 <= stored <= allocated:
        raise BadImage(f"its bits stored do not fit the {allocated} bits allocated")
    if high is not None and high != stored - 1:
        raise BadImage("its high bit is not the one below its bits stored")
    if integer_of(dataset, "PixelRepresentation") not in {0, 1}:
        raise BadImage("it does not say whether its pixels are signed")
