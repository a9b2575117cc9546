"""A radiograph as DICOM, and the files that pydicom ships, through `predict`; dciodvfy judges what comes out.

    python tests/benchmarks/dicom_round_trip.py --picture chest.png

The picture becomes a 12-bit MONOCHROME1 file of an invented patient, so that inversion and window are on the way, too.
Of each structured report and each secondary capture the validator's messages are written, errors and warnings apart;
of each file that is refused, the reason. Needs a run of chest_xray and dciodvfy (apt-get install dicom3tools).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
MAX_BYTES = 2_000_000  # of one of pydicom's files


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, required=True, help="a radiograph as PNG or JPEG")
    parser.add_argument("--root", type=Path, default=ROOT, help="project folder with the run")
    parser.add_argument("--keep", type=Path, help="folder for the study and all that was written")
    parser.add_argument("--output", type=Path, default=ROOT / "verticals/chest_xray/results/dicom.json")
    return parser.parse_args()


def write_study(folder: Path, picture: Path) -> None:
    """The radiograph as DICOM, and pydicom's own files below a size."""
    from dicom_samples import PERSON, as_bytes, radiograph
    from PIL import Image
    from pydicom.data import get_testdata_files
    from pydicom.uid import generate_uid

    grey = np.asarray(Image.open(picture).convert("L"), dtype=np.uint16)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "SeriesInstanceUID": generate_uid(), **PERSON}
    dataset = radiograph(4095 - grey * 16, 12, "jpeg_2000", **tags)
    (folder / "radiograph.dcm").write_bytes(as_bytes(dataset))
    for path in map(Path, get_testdata_files("*.dcm")):
        if path.stat().st_size <= MAX_BYTES and path.parent.name == "test_files":
            shutil.copyfile(path, folder / f"pydicom_{path.name}")


def validate(path: Path) -> dict[str, Any]:
    """What dciodvfy says of one file."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    lines = (done.stderr + done.stdout).splitlines()
    return {
        "file": path.name,
        "judged_as": next((line for line in lines if not line.startswith(("Error", "Warning"))), ""),
        "errors": [line for line in lines if line.startswith("Error")],
        "warnings": [line for line in lines if line.startswith("Warning")],
    }


def main() -> None:
    """One JSON; exit code 1 where the validator found an error."""
    chosen = parse_arguments()
    if shutil.which("dciodvfy") is None:
        sys.exit("dciodvfy is not installed: apt-get install dicom3tools")
    import pandas as pd

    from core.artifacts import write_json
    from verticals.chest_xray.predict import predict

    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        study = folder / "study"
        study.mkdir(parents=True)
        write_study(study, chosen.picture)
        summary = predict(study, folder / "opinions.csv", chosen.root / "artifacts/chest_xray/train/model")
        table = pd.read_csv(folder / "opinions.csv", keep_default_na=False)
        objects = [validate(path) for path in sorted((folder / "opinions_dicom").glob("*.dcm"))]
    is_read = table["problem"] == ""
    refusals = Counter(table.loc[~is_read, "problem"].str.split(":").str[0])
    radiograph = table.set_index("file").loc["radiograph.dcm"]
    result = {
        "command": "python tests/benchmarks/dicom_round_trip.py --picture PICTURE",
        "validator": "dciodvfy of dicom3tools",
        "files": len(table),
        "scored": int(is_read.sum()),
        "refused_by_reason": dict(sorted(refusals.items())),
        "radiograph": {name: radiograph[name] for name in ("probability", "decision", "ood", "finding_area")},
        "notes": list(summary.notes),
        "objects": len(objects),
        "objects_with_errors": sum(bool(one["errors"]) for one in objects),
        "validated": objects,
    }
    write_json(chosen.output, result)
    print({name: value for name, value in result.items() if name != "validated"})
    sys.exit(1 if result["objects_with_errors"] else 0)


if __name__ == "__main__":
    main()
