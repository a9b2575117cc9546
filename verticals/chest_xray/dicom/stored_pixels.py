"""The pixels of a DICOM file as they are stored, whatever they were compressed with."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from typing import TYPE_CHECKING

import numpy as np

from core.images.decoding import BadImage
from verticals.chest_xray.dicom.elements import integer_of, text_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

MARK = b"DICM"
MARK_OFFSET = 128
META_START = MARK_OFFSET + len(MARK)
# The start of compressed pixels, (7FE0,0010) with a length that only their end tells.
PACKED_START = re.compile(rb"\xe0\x7f\x10\x00O[BW]\x00\x00\xff\xff\xff\xff")
GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
DEFLATED = "1.2.840.10008.1.2.1.99"
MAX_INFLATED_BYTES = 512 * 1024**2
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
PACKAGES = {
    "1.2.840.10008.1.2.4.50": "pillow",
    JPEG_EXTENDED: "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.57": "python-gdcm",
    "1.2.840.10008.1.2.4.70": "python-gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg pylibjpeg-openjpeg",
}


def is_dicom(raw: bytes) -> bool:
    """Whether the bytes (the first 132 are enough) carry the mark of a DICOM file."""
    return raw[MARK_OFFSET:META_START] == MARK


def open_dataset(raw: bytes) -> Dataset:
    """The elements of a DICOM file; pixels are not decoded yet.

    Raises:
        BadImage: empty, no DICOM file, cut off within an element, or deflated to more than there is room for.
    """
    if not raw:
        raise BadImage("the file is empty (0 bytes)")
    if not is_dicom(raw):
        raise BadImage("no DICOM file (the mark DICM is missing)")
    try:
        import pydicom
    except ImportError:
        raise BadImage("DICOM is not read without pydicom: pip install 'crossdomain[medical]'") from None
    _check_deflated(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values of single elements are dealt with where they are used
            dataset = pydicom.dcmread(io.BytesIO(raw), force=False)
    except Exception:  # bytes of any kind come here, and pydicom raises of many kinds; texts of errors may quote values
        raise BadImage("a damaged DICOM file (its elements cannot be read)") from None
    if "PixelData" not in dataset and PACKED_START.search(raw):  # pydicom leaves out what has no end
        raise BadImage("its pixels are truncated (the file ends within them)")
    return dataset


def read_stored(dataset: Dataset) -> np.ndarray:
    """(H, W) integers as stored, signed where the file says so; bits above the stored ones (old overlays) do not count.

    Raises:
        BadImage: no decoder is installed (the package is named), or the pixels are truncated or damaged.
    """
    syntax = _checked_syntax(dataset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = np.asarray(dataset.pixel_array)
    except MemoryError:
        raise BadImage("its pixels need more memory than there is") from None
    except Exception:  # every codec raises errors of its own
        if syntax == JPEG_EXTENDED and (integer_of(dataset, "BitsStored") or 0) > 8:
            raise BadImage(f"12-bit JPEG cannot be decoded here: pip install {PACKAGES[syntax]}") from None
        raise BadImage(f"its pixels are truncated or damaged ({syntax.name})") from None
    if stored.ndim != 2:
        raise BadImage("wrong photometric interpretation (its pixels are not one grey plane)")
    if stored.shape != (integer_of(dataset, "Rows"), integer_of(dataset, "Columns")):
        raise BadImage("its pixels have another size than its header says")
    return stored


def _checked_syntax(dataset: Dataset) -> UID:
    """The transfer syntax, one that can be decoded here."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    syntax = UID(text_of(dataset.file_meta, "TransferSyntaxUID"))
    if not syntax:
        raise BadImage("its transfer syntax is missing")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        name = "one not in the standard" if syntax.is_private or syntax.name == syntax else syntax.name
        raise BadImage(f"its transfer syntax is not read here ({name})") from None
    if not decoder.is_available:
        package = PACKAGES.get(syntax, "pylibjpeg[all]")
        raise BadImage(f"no decoder is installed for {syntax.name}: pip install {package}")
    return syntax


def _check_deflated(raw: bytes) -> None:
    """Raise BadImage where a deflated file would fill the memory; pydicom inflates without a limit."""
    if DEFLATED.encode() not in raw[META_START : META_START + 4096]:
        return
    if raw[META_START : META_START + 8] != GROUP_LENGTH:
        raise BadImage("a damaged DICOM file (its elements cannot be read)")
    start = META_START + 12 + int.from_bytes(raw[META_START + 8 : META_START + 12], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflater.decompress(raw[start:], MAX_INFLATED_BYTES)
    except zlib.error:
        raise BadImage("a damaged DICOM file (its elements cannot be inflated)") from None
    if inflater.unconsumed_tail:
        raise BadImage(f"it inflates to more than {MAX_INFLATED_BYTES // 1024**2} MiB")
