"""Report and capture of scored DICOM files, written into one folder."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import BadInputError
from verticals.chest_xray.dicom.files import DICOM_SUFFIXES
from verticals.chest_xray.dicom.stored_pixels import open_dataset
from verticals.chest_xray.dicom_out.opinion import Opinion
from verticals.chest_xray.dicom_out.secondary_capture import secondary_capture
from verticals.chest_xray.dicom_out.structured_report import structured_report

REPORT_ENDING, CAPTURE_ENDING = "_report.dcm", "_heat_map.dcm"
# highdicom checks values of the source as well, and raises these for what it does not take.
ODD_SOURCE_ERRORS = (ValueError, TypeError, KeyError, AttributeError)


@dataclass
class DicomWriter:
    """Writes `<name>_report.dcm` and, where there is an overlay, `<name>_heat_map.dcm` below `folder`.

    Objects of two files of one name get a number in theirs.
    """

    folder: Path
    names: set[str] = field(default_factory=set)

    def write(self, path: Path, raw: bytes, opinion: Opinion, overlay: np.ndarray | None) -> list[str]:
        """Names of the files that were written for the DICOM file at `path`, both or none.

        Shape: overlay (H, W, 3) uint8 or None.

        Raises:
            BadInputError: the source lacks what an object of its study needs, or highdicom is not installed.
        """
        if importlib.util.find_spec("highdicom") is None:
            raise BadInputError("highdicom is not installed", repair="pip install 'crossdomain[medical]'")
        source = open_dataset(raw)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # texts of warnings quote values of the source
                objects = {REPORT_ENDING: structured_report(source, opinion)}
                if overlay is not None:
                    objects[CAPTURE_ENDING] = secondary_capture(source, opinion, overlay)
        except ODD_SOURCE_ERRORS as error:
            raise BadInputError(f"No report can be made for it ({type(error).__name__}).") from None
        stem = self._free_stem(path)
        for ending, made in objects.items():
            made.save_as(self.folder / f"{stem}{ending}", enforce_file_format=True)
        return [f"{stem}{ending}" for ending in objects]

    def _free_stem(self, path: Path) -> str:
        """The file's name without its DICOM ending, numbered where it was used already."""
        first = path.stem if path.suffix.lower() in DICOM_SUFFIXES else path.name
        stem, number = first, 1
        while stem in self.names:
            number += 1
            stem = f"{first}_{number}"
        self.names.add(stem)
        return stem
