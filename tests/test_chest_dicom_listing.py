"""Folders and lists of DICOM files as PNGs with a list: nobody's name, every refusal a reason, repeats."""

import csv
import stat

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed")

from dicom_samples import PERSON, PERSON_WORDS, as_bytes, chest_like, folder_bytes, radiograph
from PIL import Image

from core.errors import BadInputError, BadParamsError
from verticals.chest_xray.dicom.files import holds_dicom
from verticals.chest_xray.dicom.listing import convert_dicom
from verticals.chest_xray.dicom.pseudonyms import (
    SALT_VARIABLE,
    Pseudonyms,
    check_same_salt,
    write_fingerprint,
)

SALT = Pseudonyms(bytes(range(32)))
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def write(path, dataset):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dataset if isinstance(dataset, bytes) else as_bytes(dataset))
    return dataset


def write_list(folder, rows, header=("file", "label")):
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def rows_of(listing):
    with (listing.folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def convert(source, to_folder, **keywords):
    return convert_dicom(source, to_folder, pseudonyms=SALT, report=lambda line: None, **keywords)


def test_nothing_of_the_person_is_in_any_byte_of_the_output(tmp_path):
    datasets = []
    for place in range(3):
        dataset = radiograph(chest_like(place), **PERSON)
        dataset.add_new(0x00091001, "LO", f"private {PERSON_WORDS[0]}")
        datasets.append(write(tmp_path / "in" / f"{PERSON_WORDS[0]} {place}.dcm", dataset))
    write(tmp_path / "in" / f"{PERSON_WORDS[1]}.dcm", radiograph(chest_like(9), Modality="CT", **PERSON))
    given = folder_bytes(tmp_path / "in")
    assert sum(word.lower().encode() in given for word in PERSON_WORDS) >= len(PERSON_WORDS) - 2  # dates with hyphens
    listing = convert(tmp_path / "in", tmp_path / "out")
    stored = folder_bytes(tmp_path / "out") + repr((listing.refused, listing.notes, listing.columns)).lower().encode()
    uids = [uid for d in datasets for uid in (d.SOPInstanceUID, d.StudyInstanceUID)]
    for word in (*PERSON_WORDS, *uids, SALT.salt.hex()):
        assert word.lower().encode() not in stored, word
    assert PERSON_WORDS[1] not in repr(listing)  # not even the path of a refused file
    rows = rows_of(listing)
    assert len(rows) == 3 and len({row["patient"] for row in rows}) == 1
    assert {(row["view"], row["age"], row["sex"], row["manufacturer"]) for row in rows} == {
        ("PA", "59", "F", "siemens")
    }
    picture = np.asarray(Image.open(tmp_path / "out" / rows[0]["file"]))
    assert picture.shape == (48, 40) and picture.max() == 65535


def bad_files():
    good = chest_like()
    hollow = radiograph(good)
    del hollow.PixelData
    frames = radiograph(good, NumberOfFrames=2)
    frames.PixelData = frames.PixelData * 2
    broken = bytearray(as_bytes(radiograph(good, 12, "jpeg_2000")))
    start = broken.index(b"\xff\x4f\xff\x51") + 4
    broken[start : start + 60] = b"\0" * 60
    return {
        "text.dcm": (b"a text, no picture\n" * 20, "no DICOM file"),
        "empty.dcm": (b"", "empty"),
        "hollow.dcm": (as_bytes(hollow), "without pixels"),
        "frames.dcm": (as_bytes(frames), "multi-frame"),
        "ct.dcm": (as_bytes(radiograph(good, SOPClassUID=CT_CLASS, Modality="CT")), "CT slice"),
        "broken.dcm": (bytes(broken), "truncated or damaged"),
        "black.dcm": (as_bytes(radiograph(np.zeros((20, 20), np.uint16))), "all its pixels are the same"),
        "small.dcm": (as_bytes(radiograph(np.ones((1, 1), np.uint16))), "too small"),
    }


def test_every_bad_file_is_refused_with_its_own_reason_and_the_good_one_stays(tmp_path):
    bad = bad_files()
    for name, (raw, _) in bad.items():
        write(tmp_path / "in" / name, raw)
    write(tmp_path / "in" / "without_ending", radiograph(chest_like(1)))
    listing = convert(tmp_path / "in", tmp_path / "out")
    assert listing.num_pictures == 1 and len(listing.refused) == len(bad)
    for path, (name, reason) in zip(listing.refused_paths, listing.refused, strict=True):
        assert bad[path.name][1] in reason, path.name
        assert name.startswith("file ") and path.stem not in name
    assert len({reason for _, reason in listing.refused}) == len(bad)
    assert any(f"{len(bad)} files or rows were refused" in note for note in listing.notes)


def test_nothing_but_bad_files_is_an_error_that_says_why(tmp_path):
    write(tmp_path / "in" / "text.dcm", b"a text" * 100)
    with pytest.raises(BadInputError, match=r"all 1 were refused \(no DICOM file"):
        convert(tmp_path / "in", tmp_path / "out")


def test_same_instance_with_another_label_is_refused_and_of_equal_ones_the_first_stays(tmp_path):
    folder = tmp_path / "in"
    twice, equal, alone = (radiograph(chest_like(place)) for place in range(3))
    for name, dataset in {"a": twice, "b": twice, "c": equal, "d": equal, "e": alone}.items():
        write(folder / f"{name}.dcm", dataset)
    write_list(folder, [(f"{name}.dcm", label) for name, label in zip("abcde", "npnnp", strict=True)])
    listing = convert(folder, tmp_path / "out")
    assert [row["label"] for row in rows_of(listing)] == ["n", "p"]
    reasons = [reason for _, reason in listing.refused]
    assert reasons[:2] == ["the same SOP instance is labelled 'n' and 'p'"] * 2
    assert "the same SOP instance with the same pixels" in reasons[2] and len(reasons) == 3
    assert len(list(listing.folder.glob("*.png"))) == 2


def test_same_instance_uid_with_other_pixels_or_another_patient_is_refused(tmp_path):
    first, second = radiograph(chest_like(0)), radiograph(chest_like(1))
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    third, fourth = radiograph(chest_like(2)), radiograph(chest_like(2), PatientID="P2")
    fourth.SOPInstanceUID = fourth.file_meta.MediaStorageSOPInstanceUID = third.SOPInstanceUID
    for name, dataset in zip("abcde", (first, second, third, fourth, radiograph(chest_like(3))), strict=True):
        write(tmp_path / "in" / f"{name}.dcm", dataset)
    listing = convert(tmp_path / "in", tmp_path / "out")
    assert listing.num_pictures == 1
    assert [reason.rsplit("for ", 1)[1] for _, reason in listing.refused] == ["different pixels"] * 2 + [
        "two patients"
    ] * 2


@pytest.mark.parametrize("patient", [None, "", "ANONYMOUS"])
def test_missing_patient_id_makes_the_study_the_group_and_is_counted(tmp_path, patient):
    study = radiograph(chest_like(0), PatientID=patient)
    other = radiograph(chest_like(1), PatientID=patient, StudyInstanceUID=study.StudyInstanceUID)
    alone = radiograph(chest_like(2), PatientID=patient)
    for name, dataset in zip("abc", (study, other, alone), strict=True):
        write(tmp_path / "in" / f"{name}.dcm", dataset)
    listing = convert(tmp_path / "in", tmp_path / "out")
    patients = [row["patient"] for row in rows_of(listing)]
    assert patients[0] == patients[1] != patients[2] and patients[0].startswith("no_id_")
    assert any("3 radiographs have no patient id" in note for note in listing.notes)


def test_table_is_joined_by_uid_and_its_patients_are_hashed(tmp_path):
    datasets = [write(tmp_path / "in" / f"{place}.dcm", radiograph(chest_like(place))) for place in range(2)]
    rows = [(d.SOPInstanceUID, finding, "Zyxwomann") for d, finding in zip(datasets, ("n", "p"), strict=True)]
    write_list(tmp_path, [*rows, ("1.2.3", "n", "Nobody")], header=("SOPInstanceUID", "finding", "person"))
    listing = convert(
        tmp_path / "in", tmp_path / "out", labels=tmp_path / "labels.csv", label="finding", group="person"
    )
    found = rows_of(listing)
    assert [row["label"] for row in found] == ["n", "p"]
    assert {row["patient"] for row in found} == {SALT.patient_key("zyxwomann")}
    assert b"zyxwomann" not in folder_bytes(tmp_path / "out")
    assert any("1 rows of the list match no DICOM file" in note for note in listing.notes)


def test_list_that_leads_out_of_its_folder_is_refused(tmp_path):
    write(tmp_path / "outside.dcm", radiograph(chest_like(0)))
    write(tmp_path / "in" / "a.dcm", radiograph(chest_like(1)))
    write_list(tmp_path / "in", [("a.dcm", "n"), ("../outside.dcm", "n"), ("gone.dcm", "n")])
    listing = convert(tmp_path / "in", tmp_path / "out")
    assert listing.num_pictures == 1 and len(listing.refused) == 2


def test_salt_stays_local_is_private_and_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "home" / "salt"
    monkeypatch.setenv(SALT_VARIABLE, str(file))
    first, second = Pseudonyms.from_salt_file(), Pseudonyms.from_salt_file()
    assert first == second and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first.salt.hex() not in repr(first) and first.patient_key("a") != SALT.patient_key("a")
    assert first.patient_key(" Ab  C ") == first.patient_key("ab c") != first.patient_key("ab c", issuer="x")
    file.chmod(0o644)
    with pytest.raises(BadParamsError, match="read by others"):
        Pseudonyms.from_salt_file()
    for shared in (tmp_path / "data" / "salt", tmp_path / "artifacts" / "x" / "salt"):
        with pytest.raises(BadParamsError, match="shared"):
            Pseudonyms.from_salt_file(shared)
        assert not shared.exists()


def test_another_salt_for_a_known_domain_is_refused(tmp_path):
    check_same_salt(tmp_path, "x")
    write_fingerprint(tmp_path, SALT.salt_fingerprint())
    check_same_salt(tmp_path, SALT.salt_fingerprint())
    with pytest.raises(BadInputError, match="another salt"):
        check_same_salt(tmp_path, Pseudonyms(b"\2" * 32).salt_fingerprint())


def test_what_holds_dicom_is_told_by_the_mark(tmp_path):
    write(tmp_path / "study" / "IM0001", radiograph(chest_like(0)))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("L", (20, 20)).save(pictures / "a.png")
    write_list(pictures, [("a.png", "n")])
    assert holds_dicom(tmp_path / "study") and holds_dicom(tmp_path / "study" / "IM0001")
    assert not holds_dicom(pictures) and not holds_dicom(pictures / "labels.csv")
    write_list(tmp_path, [("study/IM0001", "n")])
    assert holds_dicom(tmp_path / "labels.csv")
