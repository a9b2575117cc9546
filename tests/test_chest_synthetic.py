from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from core.data.manifest import check_manifest
from core.data.splits import split_rows
from core.params import SplitParams
from verticals.chest_xray.domains.hospitals import ADULTS, CHILDREN, HOSPITALS
from verticals.chest_xray.domains.shapes import cloud, inside, tube
from verticals.chest_xray.domains.synthetic import MAX_PER_PATIENT, draw, plan_radiographs


@pytest.fixture(scope="module")
def drawn():
    return {
        name: [(radiograph, draw(radiograph)) for radiograph in islice(plan_radiographs(hospital), 24)]
        for name, hospital in HOSPITALS.items()
    }


def test_radiograph_drawn_twice_is_equal_and_another_seed_differs(drawn):
    radiograph, first = drawn["demo_children"][3]
    again = list(islice(plan_radiographs(CHILDREN), 4))[3]
    assert again == radiograph
    np.testing.assert_array_equal(draw(again).pixels, first.pixels)
    other = next(plan_radiographs(replace(CHILDREN, seed=CHILDREN.seed + 1)))
    assert other.anatomy != drawn["demo_children"][0][0].anatomy


@pytest.mark.parametrize("name", HOSPITALS)
def test_pictures_are_grey_224_px_high_and_as_wide_as_the_hospital_takes_them(drawn, name):
    low, high = HOSPITALS[name].aspect
    for _, picture in drawn[name]:
        assert picture.pixels.dtype == np.uint8 and picture.pixels.shape[0] == 224
        assert 224 * low - 1 <= picture.pixels.shape[1] <= 224 * high + 1
        assert picture.pixels.std() > 30


@pytest.mark.parametrize("name", HOSPITALS)
def test_masks_lie_inside_the_lungs_and_only_the_diseased_have_one(drawn, name):
    for radiograph, picture in drawn[name]:
        assert picture.mask.any() == (radiograph.finding is not None)
        assert not (picture.mask & ~picture.lungs).any()
        assert 0.08 < picture.lungs.mean() < 0.45


@pytest.mark.parametrize("name", HOSPITALS)
def test_finding_brightens_its_mask_against_the_same_exposure_without_it(drawn, name):
    cases = [(radiograph, picture) for radiograph, picture in drawn[name] if radiograph.finding is not None]
    assert len(cases) >= 4
    for radiograph, diseased in cases:
        normal = draw(replace(radiograph, finding=None))
        change = diseased.pixels.astype(float) - normal.pixels
        assert change[diseased.mask].mean() > 3
        assert abs(np.median(change[~diseased.lungs])) < 1


def test_lungs_are_darker_than_the_heart_and_the_belly(drawn):
    for pairs in drawn.values():
        for radiograph, picture in pairs:
            if radiograph.finding is None:
                height, width = picture.pixels.shape
                middle = picture.pixels[int(height * 0.55) : int(height * 0.7), width // 2 - 8 : width // 2 + 8]
                assert picture.pixels[picture.lungs].mean() + 40 < middle.mean()


def test_pictures_of_a_patient_share_anatomy_and_are_at_most_four():
    for hospital in HOSPITALS.values():
        patients: dict[str, list] = {}
        for radiograph in plan_radiographs(hospital):
            patients.setdefault(radiograph.patient, []).append(radiograph)
        assert sum(map(len, patients.values())) == hospital.num_pictures
        assert {len(pictures) for pictures in patients.values()} == set(range(1, MAX_PER_PATIENT + 1))
        for pictures in patients.values():
            assert len({picture.anatomy for picture in pictures}) == 1
            assert len({picture.film.grain_seed for picture in pictures}) == len(pictures)
        anatomies = {pictures[0].anatomy for pictures in patients.values()}
        assert len(anatomies) == len(patients)


def test_marker_goes_with_disease_in_the_source_only():
    def gap(hospital, has):
        plan = list(plan_radiographs(hospital))
        shares = [np.mean([has(r) for r in plan if (r.finding is not None) == state]) for state in (True, False)]
        return shares[0] - shares[1]

    assert gap(CHILDREN, lambda r: r.film.is_portable) > 0.3
    assert gap(CHILDREN, lambda r: r.pose.view == "AP") > 0.2
    assert abs(gap(ADULTS, lambda r: r.film.is_portable)) < 0.12


def test_marker_is_written_into_the_corner_of_its_hospital(drawn):
    for name, is_left in (("demo_children", True), ("demo_adults", False)):
        radiograph, _ = drawn[name][0]
        plain = draw(replace(radiograph, film=replace(radiograph.film, is_portable=False))).pixels
        portable = draw(replace(radiograph, film=replace(radiograph.film, is_portable=True))).pixels
        rows, columns = np.nonzero(plain != portable)
        assert len(rows) > 20 and rows.max() < 90
        assert columns.max() < 75 if is_left else columns.min() > plain.shape[1] - 75


def test_patients_never_straddle_a_split():
    plan = list(plan_radiographs(ADULTS))
    manifest = pd.DataFrame(
        {
            "sample_id": [radiograph.name for radiograph in plan],
            "domain": ADULTS.name,
            "label": [float(radiograph.finding is not None) for radiograph in plan],
            "group": [radiograph.patient for radiograph in plan],
            "time": pd.NaT,
            "is_masked": False,
        }
    )
    manifest["split"] = split_rows(manifest, SplitParams(), 0).names
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert set(manifest["split"]) == {"train", "valid", "test"}
    check_manifest(manifest)


def test_hospitals_differ_in_aspect_brightness_and_contrast(drawn):
    aspect, brightness, white = (
        {name: np.mean([measure(picture.pixels) for _, picture in pairs]) for name, pairs in drawn.items()}
        for measure in (lambda pixels: pixels.shape[1] / pixels.shape[0], np.mean, lambda pixels: (pixels > 225).mean())
    )
    assert aspect["demo_children"] > aspect["demo_adults"] + 0.15
    assert brightness["demo_adults"] > brightness["demo_children"] + 8
    assert white["demo_adults"] > 2 * white["demo_children"]


@pytest.mark.parametrize("sigma_px", [1.0, 7.0, 14.0])
def test_cloud_has_mean_zero_and_deviation_one_and_is_smooth(sigma_px):
    noise = cloud((60, 81), sigma_px, np.random.default_rng(0))
    assert noise.shape == (60, 81)
    assert abs(noise.mean()) < 1e-4 and noise.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(noise, axis=0)).mean() < 1.2 / sigma_px


def test_inside_is_half_on_the_border_and_tube_is_nothing_outside():
    np.testing.assert_allclose(inside(np.array([-1.0, 0.0, 1.0])), [0, 0.5, 1], atol=1e-6)
    assert tube(np.array([0.0]), 0.02)[0] > 0.6 and tube(np.array([0.05]), 0.02)[0] < 0.01
