"""Import a hospital's own radiographs: pictures with a list, class folders, or DICOM without the persons in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.importing import ImportReport
from core.errors import BadInputError, MissingArtifactError
from core.images.checking import print_progress
from core.images.importing import import_images, refuse_text
from core.images.layouts import Layout, find_pictures
from core.images.unpacking import unpacked
from verticals.chest_xray.dicom.files import holds_dicom
from verticals.chest_xray.dicom.listing import DicomListing, convert_dicom
from verticals.chest_xray.dicom.pseudonyms import Pseudonyms, check_same_salt, write_fingerprint

VERTICAL_NAME = "chest_xray"
PATIENTS = ("patient", "patient_id")  # columns that are taken as the group
PROTECTED = ("age", "sex")
STUDY_MONTH = "study_month"
IMAGE_DEFAULTS = {"size_px": 224, "colour": "grey", "fit": "pad"}
MAX_SHOWN = 20  # refused files that are named on the screen
NEUTRAL_NAME = "dicom"  # stands in domain.yaml for the folder of DICOM files, which may be called by a patient


def import_domain(
    path: Path,
    data_folder: Path,
    domain: str,
    *,
    labels: Path | None = None,
    file: str | None = None,
    split: str | None = None,
    mask: str | None = None,
    negative: str | Sequence[str] | None = None,
    layout: Layout = "auto",
    finding: Sequence[str] = (),
    pseudonyms: Pseudonyms | None = None,
    report: Callable[[str], None] = print_progress,
    **declared: Any,
) -> ImportReport:
    """Take in radiographs as a domain; the keywords are those of `core.images.importing.import_images`.

    path: as there, or a DICOM file, a folder of them, a list of them or an archive. labels: a table that is joined to
    DICOM files by path or UID (default the folder's labels.csv). The column `patient` or `patient_id` is the group
    unless another is told; `age` and `sex` are protected; `normal`, as any usual word for good, is negative unless
    told; 224 px, grey and padded unless told.
    DICOM: patients, studies and pictures become keys under a salt that stays on this machine; names, dates, numbers
    and file names are not written. `time` can only be study_month there.

    Raises:
        BadInputError: the list or a declaration is wrong, the batch is there already, another salt made the domain's
            keys, or no picture is left.
        BadParamsError: the salt lies in a shared folder or cannot be used.
        MissingArtifactError: there is no such path.
    """
    refuse_text(declared.get("text", ()))
    path, data_folder = Path(path), Path(data_folder)
    if not path.exists():
        raise MissingArtifactError(f"There is no {path}.", repair="Check the path.")
    told = declared | {"file": file, "split": split, "mask": mask, "negative": negative, "finding": tuple(finding)}
    told["report"] = report
    with unpacked(path) as root:
        if holds_dicom(root, file_column=file or "file"):
            return _import_dicom(root, labels, data_folder, domain, told, pseudonyms)
        if labels is not None:
            raise BadInputError("--labels is for DICOM files; there is none.", repair="Give the table itself.")
        columns = find_pictures(root, layout, file_column=file).table.frame.columns
    told = _with_defaults(told, columns, is_known=_is_known(data_folder, domain))
    outcome = import_images(path, data_folder, VERTICAL_NAME, domain, layout=layout, **told)
    if told.get("group") is None:
        return outcome
    note = f"The column '{told['group']}' is kept as it stands in the list: it should hold keys, no names."
    return replace(outcome, notes=(*outcome.notes, note))


def _import_dicom(
    root: Path,
    labels: Path | None,
    data_folder: Path,
    domain: str,
    told: Mapping[str, Any],
    pseudonyms: Pseudonyms | None,
) -> ImportReport:
    """Convert into a temporary folder and import that."""
    _check_dicom_options(told)
    folder = data_folder / VERTICAL_NAME / domain
    pseudonyms = pseudonyms or Pseudonyms.from_salt_file(keep_out_of=[data_folder])
    check_same_salt(folder, pseudonyms.salt_fingerprint())
    own = [told["split"], told.get("label_probability"), *told["finding"]]
    own += [*told.get("protected", ()), *told.get("after_outcome", ())]
    with tempfile.TemporaryDirectory(prefix="crossdomain_radiographs_") as name:
        listing = convert_dicom(
            root,
            Path(name) / NEUTRAL_NAME,
            labels=labels,
            label=told.get("label"),
            file=told["file"],
            group=told.get("group"),
            keep=[column for column in own if column and column not in (*PROTECTED, STUDY_MONTH)],
            use_time=told.get("time") is not None,
            pseudonyms=pseudonyms,
            report=told["report"],
        )
        _show_refused(listing, told["report"])
        # The list that was written has names of its own for these, and a column that is gone needs no dropping.
        drop = tuple(column for column in told.get("drop", ()) if column in listing.columns)
        now = dict(told) | {"label": None, "file": None, "group": None, "drop": drop, "refused": listing.refused}
        now = _with_defaults(now, listing.columns, is_known=_is_known(data_folder, domain))
        outcome = import_images(listing.folder, data_folder, VERTICAL_NAME, domain, **now)
    write_fingerprint(folder, listing.salt_fingerprint)
    return replace(outcome, notes=tuple(dict.fromkeys((*listing.notes, *outcome.notes))))


def _with_defaults(told: Mapping[str, Any], columns: Sequence[str], *, is_known: bool) -> dict[str, Any]:
    """Group, protected columns and the square as told, else this field's own; a known domain has its group already."""
    found = {name: value for name, value in told.items() if value is not None}
    if not is_known and "group" not in found:
        found["group"] = next((name for name in PATIENTS if name in columns), None)
    present = (name for name in PROTECTED if name in columns)
    found["protected"] = tuple(dict.fromkeys((*found.get("protected", ()), *present)))
    return IMAGE_DEFAULTS | found


def _is_known(data_folder: Path, domain: str) -> bool:
    return (data_folder / VERTICAL_NAME / domain / "domain.yaml").exists()


def _check_dicom_options(told: Mapping[str, Any]) -> None:
    """Raise BadInputError for what cannot be told of DICOM files."""
    for option in ("mask", "key"):
        if told.get(option):
            raise BadInputError(
                f"--{option} is not for DICOM files.",
                repair="Leave it out: a picture's key is made of its UID, and masks come with pictures and a list.",
            )
    if told.get("time") not in {None, STUDY_MONTH}:
        raise BadInputError(
            f"--time {told['time']} would write dates of patients.",
            repair=f"Say --time {STUDY_MONTH}, or leave it out.",
        )


def _show_refused(listing: DicomListing, report: Callable[[str], None]) -> None:
    """Tell which files were refused by the names they have here; those names are stored nowhere."""
    for path, (name, reason) in list(zip(listing.refused_paths, listing.refused, strict=True))[:MAX_SHOWN]:
        report(f"refused: {name if path is None else path}: {reason}")
    if len(listing.refused) > MAX_SHOWN:
        report(f"refused: and {len(listing.refused) - MAX_SHOWN:,} more")
