"""Prepare with pictures: decoded once, opened by the rows that are asked for, labels' companions masked with them."""

import numpy as np
import pytest
from two_lines import COLUMNS, LINE_A, LINE_B, SIZE_PX, TOY_LINE, line_params, write_line

from core.artifacts import Artifacts
from core.data.prepared import open_prepared, read_manifest
from core.errors import BadInputError
from core.images.image import images_of, stack_pixels
from core.images.spec import ImageSpec
from core.images.store import read_masks
from core.params import SplitParams
from core.stages.prepare import prepare

ALL_SPLITS = ("source_train", "source_valid", "train", "valid", "test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("lines") / "data"
    write_line(root, LINE_A)
    write_line(root, LINE_B, seed=1, shift=0.15)
    return root


def run(data, tmp_path, **options):
    params = line_params(**options)
    artifacts = Artifacts(tmp_path / "artifacts", "toy_line")
    prepare(TOY_LINE, params, artifacts, seed=0, data_folder=data)
    return params, artifacts


def test_prepare_pictures_are_opened_row_by_row_with_their_labels(data, tmp_path):
    from image_samples import image_samples

    params, artifacts = run(data, tmp_path)
    drawn, _ = image_samples(80, size=SIZE_PX, seed=0, domain="line_a")
    opened = open_prepared(TOY_LINE, params, artifacts, splits=ALL_SPLITS)
    assert sum(len(opened[name]) for name in ("train", "valid", "test")) == 80
    for name in ("train", "valid", "test"):
        samples = opened[name]
        rows = [int(sample_id.rsplit("/", 1)[1]) for sample_id in samples.sample_ids]
        wanted = stack_pixels([drawn.inputs["image"][row] for row in rows])
        np.testing.assert_array_equal(stack_pixels(images_of(samples)), wanted)
        np.testing.assert_array_equal(samples.labels, drawn.labels[rows])
        np.testing.assert_array_equal(samples.target_probability, np.where(samples.labels == 1, 0.67, 0.0))
        assert set(samples.kinds) == {"dent", "scratch", "good"}
    assert set(opened["source_train"].domains) == {"line_b"}


def test_prepare_whole_parts_stay_in_one_split(data, tmp_path):
    _, artifacts = run(data, tmp_path)
    manifest = read_manifest(artifacts)
    assert (manifest.groupby("group")["split"].nunique() == 1).all()
    assert (manifest.groupby("group")["sample_id"].count() == 2).all()


def test_prepare_label_budget_masks_grade_and_kind_with_the_label(data, tmp_path):
    params, artifacts = run(data, tmp_path, label_budget=10)
    opened = open_prepared(TOY_LINE, params, artifacts, splits=("train", "valid"))
    seen = sum(samples.num_labelled for samples in opened.values())
    assert 0 < seen <= 10
    for samples in opened.values():
        hidden = ~samples.is_labelled
        assert np.isnan(samples.label_probability[hidden]).all()
        assert (samples.kinds[hidden] == "").all()


def test_prepare_masks_are_read_by_sample_and_lie_on_the_planted_defect(data, tmp_path):
    from image_samples import image_samples

    params, artifacts = run(data, tmp_path)
    test = open_prepared(TOY_LINE, params, artifacts, splits=("test",))["test"]
    found = read_masks(artifacts.path("prepare", "columns"), "line_a", list(test.sample_ids))
    assert set(found) == set(test.sample_ids[test.labels == 1])
    _, masks = image_samples(80, size=SIZE_PX, seed=0, domain="line_a")
    for sample_id, mask in found.items():
        np.testing.assert_array_equal(mask, masks[int(sample_id.rsplit("/", 1)[1])])


def test_prepare_good_only_trains_on_good_parts_alone(data, tmp_path):
    params, artifacts = run(data, tmp_path, source_domains=(), split=SplitParams(method="good_only"))
    opened = open_prepared(TOY_LINE, params, artifacts, splits=("train", "valid", "test"))
    assert set(opened["train"].labels) == set(opened["valid"].labels) == {0.0}
    assert set(opened["test"].labels) == {0.0, 1.0}
    groups = [set(samples.groups) for samples in opened.values()]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_prepare_size_in_params_is_that_of_every_domain(data, tmp_path):
    params, artifacts = run(data, tmp_path, image=ImageSpec(size_px=16, colour="rgb"))
    opened = open_prepared(TOY_LINE, params, artifacts, splits=("source_train", "train"))
    for samples in opened.values():
        assert stack_pixels(images_of(samples)).shape[1:] == (16, 16, 3)


def test_prepare_a_picture_that_is_not_in_the_archive_is_named(data, tmp_path):
    from dataclasses import replace

    root = tmp_path / "data"
    write_line(root, replace(LINE_A, columns=COLUMNS))
    next((root / "toy_line/line_a/images").glob("*.parquet")).unlink()
    with pytest.raises(BadInputError, match="80 of 80 pictures are not in its archive"):
        run(root, tmp_path, source_domains=())


def test_prepare_slices_by_columns_of_few_values(data, tmp_path):
    _, artifacts = run(data, tmp_path)
    manifest = read_manifest(artifacts)
    assert set(manifest["slice_camera"].dropna()) == {"left", "right"}
