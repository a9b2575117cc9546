"""A real line's pictures as a user brings them. Set CROSSDOMAIN_DATASETS to the folder of data sets to run this."""

import os
from pathlib import Path

import pytest

from core.data.domain import read_domain_spec
from core.images.archive import archive_path, read_index
from verticals.defect_detection.dataset import read_domain
from verticals.defect_detection.importing import import_domain

FOLDER = Path(os.environ.get("CROSSDOMAIN_DATASETS", "")) / "defect_detection/magnetic_tile"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if not os.environ.get("CROSSDOMAIN_DATASETS") or not (FOLDER / "labels.csv").exists():
        pytest.skip("CROSSDOMAIN_DATASETS is not set to a folder with defect_detection/magnetic_tile/labels.csv")
    return import_domain(FOLDER, tmp_path_factory.mktemp("data"), "magnetic_tile", group="tile_group")


def test_import_of_magnetic_tiles_takes_every_picture_and_mask(report):
    assert (report.num_rows, report.num_quarantined, report.num_unlabelled) == (652, 0, 0)
    assert len(read_index(archive_path(report.folder, "initial"))) == 652 + 184


def test_import_of_magnetic_tiles_tells_good_from_defects_and_groups_tiles(report):
    spec, rows = read_domain_spec(report.folder), read_domain(report.folder)
    assert spec.negative == ("good",)
    assert set(spec.positive) == {"blowhole", "break", "crack", "fray", "uneven"}
    assert int(rows.manifest["label"].sum()) == 184 and rows.manifest["group"].nunique() == 120
    assert (rows.columns["mask"].notna() == (rows.manifest["label"] == 1)).all()
    assert spec.column("exposure").use == "ignore"
