"""`predict` on DICOM and pictures: CSV, JSON, heat maps, and report and capture of the DICOM files."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from small_defect_model import SIZE_PX, make_defect_model

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
pytest.importorskip("highdicom", reason="highdicom is not installed")

from dicom_samples import PERSON, as_bytes, chest_like, radiograph  # noqa: E402

from core.errors import BadInputError, VerificationError  # noqa: E402
from core.learners.scoring_model import ScoringModel  # noqa: E402
from core.pictures.scorer import PictureScorer  # noqa: E402
from verticals.chest_xray.predict import WORDS, model_version, predict, read_pixels  # noqa: E402


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts") / "chest_xray" / "train" / "model"
    model = make_defect_model(has_kinds=False)
    replace(model, spec=replace(model.spec, is_synthetic=True), threshold=0.0).save(folder)
    return folder


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    for name, seed, syntax in (("a.dcm", 0, "explicit"), ("IM0002", 1, "rle"), ("c.DCM", 2, "jpeg_2000")):
        dataset = radiograph(chest_like(seed), 12, syntax, SeriesInstanceUID="1.2.3.4", **PERSON)
        (folder / name).write_bytes(as_bytes(dataset))
    (folder / "text.dcm").write_text("a text, no picture")
    (folder / "ct.dcm").write_bytes(as_bytes(radiograph(chest_like(3), Modality="CT")))
    PillowImage.fromarray(np.uint8(chest_like(4) >> 4)).save(folder / "p.png")
    return folder


def test_folder_of_dicom_and_pictures_gives_table_json_and_objects(study, model_folder, tmp_path):
    summary = predict(study, tmp_path / "out.csv", model_folder)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False).set_index("file")
    assert (summary.scored, summary.unreadable) == (4, 2)
    assert set(table.index) == {"a.dcm", "IM0002", "c.DCM", "text.dcm", "ct.dcm", "p.png"}
    assert set(table["data"]) == {"SYNTHETIC"} and "finding_area" in table
    assert set(table["decision"]) <= {"normal", "finding", "refer"}
    assert "CT slice" in table.loc["ct.dcm", "problem"] and table.loc["text.dcm", "problem"]
    model = ScoringModel.load(model_folder)
    scorer = PictureScorer(model, words=WORDS, read_pixels=read_pixels)
    image = scorer.read((study / "a.dcm").read_bytes())
    expected = model.predict_probability(scorer.samples_of([image]))[0, 1]
    assert float(table.loc["a.dcm", "probability"]) == pytest.approx(expected, abs=1e-5)

    told = json.loads((tmp_path / "out.json").read_text())
    assert told["data"] == "SYNTHETIC" and "NOT FOR CLINICAL USE" in told["notice"]
    assert told["model_version"] == model_version(model_folder)
    assert told["counts"]["rows"] == 6 and sum(told["counts"]["decisions"].values()) == 6
    rows = {row["file"]: row for row in told["rows"]}
    assert rows["a.dcm"]["probability"] == float(table.loc["a.dcm", "probability"])
    assert rows["ct.dcm"]["probability"] is None and "dicom" not in rows["p.png"]

    folder = tmp_path / "out_dicom"
    named = [name for row in told["rows"] for name in row.get("dicom", [])]
    assert sorted(path.name for path in folder.iterdir()) == sorted(named)
    assert rows["IM0002"]["dicom"] == ["IM0002_report.dcm", "IM0002_heat_map.dcm"]  # a threshold of 0 maps all
    assert told["counts"]["dicom_objects"] == 6 and any("3 structured reports" in note for note in summary.notes)
    source, report = (pydicom.dcmread(path) for path in (study / "a.dcm", folder / "a_report.dcm"))
    assert report.StudyInstanceUID == source.StudyInstanceUID and report.SoftwareVersions == told["model_version"]
    capture = pydicom.dcmread(folder / "a_heat_map.dcm").pixel_array
    overlay = np.asarray(PillowImage.open(tmp_path / "out_heat_maps" / "a.dcm.png"))
    factor = -(-448 // SIZE_PX)
    np.testing.assert_array_equal(capture[: factor * SIZE_PX : factor, ::factor], overlay)


def test_pictures_alone_leave_no_dicom_folder_and_no_old_one(study, model_folder, tmp_path):
    predict(study / "a.dcm", tmp_path / "out.csv", model_folder, explain=False)
    assert [path.name for path in (tmp_path / "out_dicom").iterdir()] == ["a_report.dcm"]
    predict(study / "p.png", tmp_path / "out.csv", model_folder, explain=False)
    assert not (tmp_path / "out_dicom").exists()


def test_dicom_file_without_its_uids_is_scored_and_told(study, model_folder, tmp_path):
    raw = as_bytes(radiograph(chest_like(0), StudyInstanceUID=None))
    (study / "a.dcm").write_bytes(raw)
    summary = predict(study / "a.dcm", tmp_path / "out.csv", model_folder)
    assert summary.scored == 1 and any("no usable StudyInstanceUID" in note for note in summary.notes)
    assert not (tmp_path / "out_dicom").exists()


def test_dicom_out_can_be_left_out(study, model_folder, tmp_path):
    predict(study / "a.dcm", tmp_path / "out.csv", model_folder, explain=False, use_dicom_out=False)
    assert (tmp_path / "out.json").exists() and not (tmp_path / "out_dicom").exists()


def test_output_that_ends_with_json_is_refused(study, model_folder, tmp_path):
    with pytest.raises(BadInputError, match="beside the output"):
        predict(study, tmp_path / "out.json", model_folder)


def test_changed_model_writes_nothing(study, model_folder, tmp_path):
    import shutil

    changed = tmp_path / "train" / "model"
    shutil.copytree(model_folder, changed)
    text = (changed / "scoring_model.json").read_text()
    (changed / "scoring_model.json").write_text(text.replace('"is_synthetic": true', '"is_synthetic": false'))
    with pytest.raises(VerificationError):
        predict(study, tmp_path / "out.csv", changed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "train"]


def test_model_version_changes_with_the_model(model_folder, tmp_path):
    make_defect_model(has_kinds=False).save(tmp_path / "model")
    assert model_version(tmp_path / "model") != model_version(model_folder)
