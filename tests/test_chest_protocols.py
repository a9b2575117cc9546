"""How X1 divides patients, and that its study of pictures reads no row of the publisher's test split."""

import numpy as np
import pandas as pd
import pytest

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError
from core.images.image import Image
from core.images.spec import ImageSpec
from verticals.chest_xray.protocols import x1_pictures
from verticals.chest_xray.protocols.kermany_split import across_series, divide, draw_patients, series_of

TINY = {"model": "test_efficientnet", "scratch_seed": 0, "stages": (1, 2), "precision": "fp32", "head": "logistic"}
NUM_TEST = 24


@pytest.fixture(scope="module")
def hospital():
    """(samples, columns): four series, two radiographs a patient; a third of the test patients trains, too."""
    generator, rows = np.random.default_rng(0), []
    for series, label, subtype in (
        ("IM-", 0, ""),
        ("NORMAL2-IM-", 0, ""),
        ("person", 1, "virus"),
        ("person", 1, "bacteria"),
    ):
        for number in range(30):
            patient = f"{series}{number + 100 * (subtype == 'virus')}"
            rows += [(patient, label, subtype, "train")] * 2
    for number in range(NUM_TEST):
        is_shared = number % 3 == 0
        label = number % 2
        patient = (f"person{number}" if label else f"IM-{number}") if is_shared else f"test{label}-{number}"
        rows.append((patient, label, "bacteria" if label else "", "test"))
    table = pd.DataFrame(rows, columns=["patient", "label", "subtype", "split"])
    pixels = generator.integers(0, 255, (len(table), 32, 32, 1)).astype(np.uint8)
    pixels[table["label"] == 1, 8:20, 8:20] //= 3
    samples = Samples(
        inputs=pd.DataFrame({"image": pd.Series([Image.of_pixels(one) for one in pixels], dtype=object)}),
        labels=table["label"].to_numpy(dtype=float),
        sample_ids=np.array([f"kermany/{row}" for row in range(len(table))], dtype=object),
        domains=np.full(len(table), "kermany", dtype=object),
        weights=np.ones(len(table)),
        groups=table["patient"].to_numpy(dtype=object),
        schema=TableSchema((Feature("image", "image"),)),
    )
    return samples, table[["subtype", "split"]]


def patients(samples, rows):
    return set(samples.groups[rows].astype(str))


@pytest.mark.parametrize("is_patient_safe", [False, True])
def test_divide_keeps_patients_whole_and_the_publishers_test_rows(hospital, is_patient_safe):
    samples, columns = hospital
    found = divide(samples, columns, is_patient_safe=is_patient_safe, seed=0)
    assert list(found.test) == list(np.flatnonzero(columns["split"] == "test"))
    assert not patients(samples, found.train) & patients(samples, found.valid)
    shared = (patients(samples, found.train) | patients(samples, found.valid)) & patients(samples, found.test)
    assert found.num_shared_patients == NUM_TEST / 3
    assert len(shared) == (0 if is_patient_safe else found.num_shared_patients)
    assert found.num_left_out == (2 * found.num_shared_patients if is_patient_safe else 0)


def test_divide_without_a_test_split_says_how_to_import_it(hospital):
    samples, columns = hospital
    with pytest.raises(BadInputError, match="tells no test split"):
        divide(samples, columns.assign(split="train"), is_patient_safe=True, seed=0)


def test_across_series_no_series_is_on_both_sides_and_each_has_both_classes(hospital):
    samples, columns = hospital
    names, rows = series_of(columns, samples), np.flatnonzero(columns["split"] == "train")
    halves = across_series(names, rows, samples.targets)
    assert len(halves) == 2
    for fit, held in halves:
        assert not set(names[fit]) & set(names[held])
        assert set(samples.targets[fit]) == set(samples.targets[held]) == {0, 1}
        assert len(fit) + len(held) == len(rows)


def test_draw_patients_takes_whole_patients_until_there_are_enough(hospital):
    samples, columns = hospital
    rows = np.flatnonzero(columns["split"] == "train")
    drawn = draw_patients(samples.groups, rows, 41)
    assert 41 <= len(drawn) < 44 and set(drawn) <= set(rows)
    assert set(np.flatnonzero(np.isin(samples.groups, samples.groups[drawn]))) & set(rows) == set(drawn)
    assert len(draw_patients(samples.groups, rows, 10_000)) == len(rows)


def test_study_of_pictures_scores_training_patients_alone(hospital, tmp_path, monkeypatch):
    samples, columns = hospital
    monkeypatch.setattr(x1_pictures, "open_hospitals", lambda *_, **__: (samples, columns))
    spec = ImageSpec(size_px=32)
    result = x1_pictures.run(
        tmp_path,
        report=lambda _: None,
        ways={"as_it_comes": (spec, TINY), "one_stage": (spec, {**TINY, "stages": (1,)})},
        num_rows=150,
    )
    safe = divide(samples, columns, is_patient_safe=True, seed=0)
    assert result["ledger"]["num_test_rows"] <= len(safe.train) + len(safe.valid)
    assert {entry["method"] for entry in result["ledger"]["entries"]} == {"as_it_comes", "one_stage"}
    assert (tmp_path / "verticals/chest_xray/results/x1_pictures.json").exists()
