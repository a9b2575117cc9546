"""Structured report and secondary capture: valid by dciodvfy, in the source's study, with nothing of it beyond need."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed")

from dicom_samples import PERSON, as_bytes, chest_like, radiograph  # noqa: E402

from core.errors import BadInputError, BadParamsError  # noqa: E402
from verticals.chest_xray.dicom_out.opinion import NOTICE, SYNTHETIC_NOTICE, Opinion  # noqa: E402
from verticals.chest_xray.dicom_out.secondary_capture import secondary_capture, with_words  # noqa: E402
from verticals.chest_xray.dicom_out.writing import DicomWriter  # noqa: E402

OPINION = Opinion(0.8125, "finding", False, False, "", 0.35, "0.1+0123456789ab", False)
OVERLAY = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
# What the composite of a study must repeat; all else that PERSON holds must not be found in the objects.
REPEATED = {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
            "StudyTime"}  # fmt: skip
SOURCES = {
    "full": PERSON,
    "anonymous": {"PatientID": None},
    "japanese": PERSON | {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "SpecificCharacterSet": "ISO_IR 192"},
    "latin": PERSON | {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"},
    "digital": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX", "BurnedInAnnotation": "YES"},
    "odd": {"PatientSex": "X", "StudyTime": "", "StudyDate": "2021.03.17", "AccessionNumber": "", "PatientName": ""},
}


def source_of(tags):
    dataset = radiograph(chest_like(), SeriesInstanceUID="1.2.826.0.1.5", **tags)
    dataset.add_new(0x00091001, "LO", "private Nebelgasse")
    return dataset


def write(folder, source, opinion=OPINION, overlay=OVERLAY, *, name="a.dcm"):
    names = DicomWriter(folder).write(folder / name, as_bytes(source), opinion, overlay)
    return [pydicom.dcmread(folder / written) for written in names]


def evaluations(report):
    """Concept meaning -> meaning or text, and the probability, of everything below a content item."""
    found = {}
    for item in report.ContentSequence:
        concept = item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""
        if item.ValueType == "CODE":
            found[concept] = item.ConceptCodeSequence[0].CodeMeaning
        elif item.ValueType == "TEXT":
            found.setdefault(concept, []).append(item.TextValue)
        elif item.ValueType == "NUM":
            found[concept] = item.MeasuredValueSequence[0]
        if "ContentSequence" in item:
            for name, value in evaluations(item).items():
                found[name] = found.get(name, []) + value if isinstance(value, list) else value
    return found


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("decision", ["normal", "finding", "refer"])
def test_validator_reports_no_error(tmp_path, name, decision):
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    is_refer = decision == "refer"
    opinion = replace(OPINION, decision=decision, abstain=is_refer, is_ood=is_refer, ood_reason="x" * is_refer)
    write(tmp_path, source_of(SOURCES[name]), opinion)
    for path in sorted(tmp_path.glob("*.dcm")):
        told = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        assert any("ComprehensiveSR" in line or "SCImage" in line for line in lines)  # it did look at the object
        assert not [line for line in lines if line.startswith("Error")], lines
    assert len(list(tmp_path.glob("*.dcm"))) == 2


def test_report_read_back_gives_the_opinion(tmp_path):
    opinion = replace(OPINION, decision="refer", abstain=True, is_ood=True, ood_reason="lateral view")
    write(tmp_path, source_of(PERSON), opinion)
    report = highdicom.sr.srread(tmp_path / "a_report.dcm")
    (group,) = report.content.get_image_measurement_groups()
    (measurement,) = group.get_measurements()
    assert measurement.value == 0.8125 and measurement.name.value == "122157" and measurement.unit.value == "1"
    found = evaluations(report)
    assert found["Impression"] == "Imaging result equivocal" and found["Finding"] == "Disease"
    assert found["Model abstains, a physician must decide"] == "Yes"
    assert found["Input is of the kind the model learned from"] == "No"
    assert found["Algorithm Version"] == [opinion.model_version]
    assert found["Algorithm Family"] == "Artificial Intelligence"
    assert "threshold=0.350000" in found["Algorithm Parameters"]
    assert found["Comment"] == ["The input check objects: lateral view", NOTICE]
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE", "UNVERIFIED", "PRELIMINARY",
    )  # fmt: skip


def test_objects_are_new_series_of_the_study_and_refer_to_the_source(tmp_path):
    source = source_of(PERSON)
    report, capture = write(tmp_path, source)
    for made in (report, capture):
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert str(made.PatientName) == PERSON["PatientName"] and made.PatientID == PERSON["PatientID"]
    uids = [uid for made in (source, report, capture) for uid in (made.SeriesInstanceUID, made.SOPInstanceUID)]
    assert len(set(uids)) == 6 and all(pydicom.uid.UID(uid).is_valid for uid in uids)
    (series,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    for reference in (series.ReferencedSOPSequence[0], capture.SourceImageSequence[0]):
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert (capture.PhotometricInterpretation, capture.pixel_array.dtype) == ("RGB", np.uint8)
    shown = capture.pixel_array[:448, :448]
    np.testing.assert_array_equal(shown, OVERLAY.repeat(14, 0).repeat(14, 1))
    assert capture.pixel_array[448:].max() > 200  # words stand below it


def test_nothing_else_of_the_source_is_repeated(tmp_path):
    source = source_of(PERSON)
    write(tmp_path, source)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("*.dcm"))
    for name, value in PERSON.items():
        if name not in REPEATED and value not in {"PA", "CHEST"}:
            assert value.encode() not in stored, name
    assert b"Nebelgasse" not in stored and b"Zyxwomann" in stored
    for path in tmp_path.glob("*.dcm"):
        assert not any(element.tag.is_private for element in pydicom.dcmread(path).iterall())


@pytest.mark.parametrize(("is_synthetic", "words"), [(True, SYNTHETIC_NOTICE), (False, NOTICE)])
def test_notice_is_told_in_texts_of_both(tmp_path, is_synthetic, words):
    report, capture = write(tmp_path, source_of({}), replace(OPINION, is_synthetic=is_synthetic))
    assert evaluations(report)["Comment"] == [words] and capture.ImageComments == words
    for made in (report, capture):
        assert "not for clinical use" in made.SeriesDescription
        assert ("SYNTHETIC" in made.SeriesDescription) is is_synthetic


def test_words_below_the_picture_differ_with_the_opinion_and_fit_its_width():
    one, other = (with_words(OVERLAY, replace(OPINION, is_synthetic=value)) for value in (True, False))
    assert one.shape[1] == other.shape[1] == 448
    assert one.shape != other.shape or (one != other).any()
    long = with_words(OVERLAY, replace(OPINION, ood_reason="many words of a reason " * 20))
    assert long.shape[0] > one.shape[0] + 50 and not long[448:, -3:].any()  # wrapped, not cut off


def test_names_in_other_alphabets_survive(tmp_path):
    for name in ("japanese", "latin"):
        for made in write(tmp_path, source_of(SOURCES[name])):
            assert str(made.PatientName) == SOURCES[name]["PatientName"]


@pytest.mark.parametrize("uid", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_source_without_a_uid_gets_no_object(tmp_path, uid):
    source = source_of({})
    setattr(source, uid, "")
    with pytest.raises(BadInputError, match=f"no usable {uid}"):
        write(tmp_path, source)
    assert not list(tmp_path.iterdir())


def test_equal_names_are_numbered_and_no_overlay_is_no_capture(tmp_path):
    writer, raw = DicomWriter(tmp_path), as_bytes(source_of({}))
    assert writer.write(tmp_path / "x" / "a.dcm", raw, OPINION, None) == ["a_report.dcm"]
    assert writer.write(tmp_path / "y" / "a.dcm", raw, OPINION, OVERLAY) == ["a_2_report.dcm", "a_2_heat_map.dcm"]
    assert writer.write(tmp_path / "1.2.3", raw, OPINION, None) == ["1.2.3_report.dcm"]


def test_overlay_that_is_no_rgb_picture_is_refused():
    with pytest.raises(BadParamsError, match="uint8"):
        secondary_capture(source_of({}), OPINION, OVERLAY.astype(float))
