"""Import of radiographs: DICOM to a domain without a person in it, pictures with a list, options that make no sense."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip("pydicom", reason="pydicom is not installed")

from dicom_samples import PERSON, PERSON_WORDS, as_bytes, chest_like, folder_bytes, radiograph

from core.data.domain import read_domain_spec
from core.errors import BadInputError, MissingArtifactError
from verticals.chest_xray.dicom.pseudonyms import Pseudonyms
from verticals.chest_xray.importing import import_domain

SALT = Pseudonyms(bytes(range(32)))
QUIET = {"report": lambda line: None}


def write_study(folder, num=6, *, start=0, **tags):
    """DICOM files of `num` pictures of three patients with a labels.csv, all full of a person."""
    folder.mkdir(parents=True)
    rows = []
    for place in range(start, start + num):
        told = PERSON | {"PatientID": f"{PERSON['PatientID']}{place % 3}", "PatientAge": f"0{40 + place}Y"} | tags
        name = f"{PERSON_WORDS[0]}_{place}.dcm"
        (folder / name).write_bytes(as_bytes(radiograph(chest_like(place), **told)))
        rows.append((name, "normal" if place % 2 else "pneumonia", f"{PERSON_WORDS[0]} {place}"))
    pd.DataFrame(rows, columns=["file", "label", "remark"]).to_csv(folder / "labels.csv", index=False)
    return folder


def test_dicom_files_become_a_domain_without_the_person(tmp_path):
    source = write_study(tmp_path / f"{PERSON_WORDS[0]}_{PERSON_WORDS[1]}")
    (source / "note.dcm").write_text("this is a text")
    lines = []
    with (source / "labels.csv").open("a") as file:
        file.write("note.dcm,normal,a text\n")
    outcome = import_domain(source, tmp_path / "data", "ours", pseudonyms=SALT, report=lines.append)
    assert (outcome.num_rows, outcome.num_quarantined) == (6, 1)
    assert any("note.dcm" in line and "no DICOM file" in line for line in lines)
    spec = read_domain_spec(outcome.folder)
    image = spec.image_column.image
    assert (image.size_px, image.colour, image.fit) == (224, "grey", "pad")
    assert [column.name for column in spec.with_use("group")] == ["patient"]
    assert set(spec.protected) == {"age", "sex"}
    assert spec.column("age").use == "ignore" and spec.column("age").kind == "number"
    assert spec.negative == ("normal",) and spec.positive == ("pneumonia",)
    rows = pd.read_parquet(outcome.folder / "rows" / "initial.parquet")
    assert rows["patient"].nunique() == 3 and set(rows["view"]) == {"PA"}
    stored = folder_bytes(tmp_path / "data")
    for word in (*PERSON_WORDS, "note.dcm", "remark"):
        assert word.lower().encode() not in stored, word
    assert b"patient" in stored  # the scan does see what is there


def test_second_batch_keeps_the_patients_and_another_salt_is_refused(tmp_path):
    import_domain(write_study(tmp_path / "a"), tmp_path / "data", "ours", pseudonyms=SALT, **QUIET)
    more = write_study(tmp_path / "b", num=3, start=6)
    with pytest.raises(BadInputError, match="another salt"):
        import_domain(more, tmp_path / "data", "ours", batch="b", pseudonyms=Pseudonyms(b"\1" * 32), **QUIET)
    outcome = import_domain(more, tmp_path / "data", "ours", batch="b", pseudonyms=SALT, **QUIET)
    first, second = (pd.read_parquet(outcome.folder / "rows" / f"{name}.parquet") for name in ("initial", "b"))
    assert len(second) == 3 and set(second["patient"]) == set(first["patient"])


def test_zip_of_dicom_files_without_a_list_is_unlabelled(tmp_path):
    import shutil

    source = write_study(tmp_path / "study", num=3)
    (source / "labels.csv").unlink()
    archive = shutil.make_archive(str(tmp_path / PERSON_WORDS[0]), "zip", source)
    outcome = import_domain(archive, tmp_path / "data", "ours", pseudonyms=SALT, **QUIET)
    assert outcome.num_rows == 3 and read_domain_spec(outcome.folder).label_column is None
    assert PERSON_WORDS[0].lower().encode() not in folder_bytes(tmp_path / "data")


def test_month_of_the_study_is_the_only_time_of_dicom_files(tmp_path):
    source = write_study(tmp_path / "study")
    outcome = import_domain(source, tmp_path / "data", "ours", pseudonyms=SALT, time="study_month", **QUIET)
    rows = pd.read_parquet(outcome.folder / "rows" / "initial.parquet")
    assert set(rows["study_month"]) == {"2021-03-01"}
    with pytest.raises(BadInputError, match="dates of patients"):
        import_domain(source, tmp_path / "data", "other", pseudonyms=SALT, time="StudyDate", **QUIET)


@pytest.mark.parametrize("option", ["mask", "key"])
def test_options_of_pictures_are_refused_for_dicom(tmp_path, option):
    source = write_study(tmp_path / "study", num=1)
    with pytest.raises(BadInputError, match=f"--{option} is not for DICOM"):
        import_domain(source, tmp_path / "data", "ours", pseudonyms=SALT, **{option: "x"}, **QUIET)


@pytest.mark.parametrize("patient", ["patient", "patient_id"])
def test_pictures_with_a_list_come_in_with_group_and_protected_columns(tmp_path, patient):
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for place in range(6):
        Image.fromarray(generator.integers(0, 255, (40, 30), dtype=np.uint8)).save(folder / f"{place}.png")
        rows.append((f"{place}.png", ("normal", "pneumonia")[place % 2], f"k{place // 2}", 30 + place, "FM"[place % 2]))
    pd.DataFrame(rows, columns=["file", "label", patient, "age", "sex"]).to_csv(folder / "labels.csv", index=False)
    outcome = import_domain(folder, tmp_path / "data", "ours", positive=(), negative=(), protected=(), **QUIET)
    spec = read_domain_spec(outcome.folder)
    assert outcome.num_rows == 6 and [c.name for c in spec.with_use("group")] == [patient]
    assert set(spec.protected) == {"age", "sex"} and spec.image_column.image.size_px == 224
    assert not (outcome.folder / "pseudonyms.json").exists()
    assert any("no names" in note for note in outcome.notes)


def test_wrong_paths_and_options_are_named(tmp_path):
    with pytest.raises(MissingArtifactError):
        import_domain(tmp_path / "nothing", tmp_path / "data", "ours", **QUIET)
    with pytest.raises(BadInputError, match="--text"):
        import_domain(tmp_path, tmp_path / "data", "ours", text=("remark",), **QUIET)
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(BadInputError, match="--labels"):
        import_domain(tmp_path, tmp_path / "data", "ours", labels=tmp_path / "x.csv", **QUIET)
