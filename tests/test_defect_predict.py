"""`predict` on pictures: folders, patterns, archives, broken files, decisions, heat maps, memory of the old output."""

import io
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from small_defect_model import SIZE_PX, SPEC, blob_samples, make_defect_model

from core.artifacts import write_json
from core.errors import BadInputError, MissingArtifactError, VerificationError
from core.images.image import images_of
from core.learners.scoring_model import ScoringModel
from core.pictures.input_files import input_files
from core.pictures.predicting import predict_files, predict_picture
from core.pictures.scorer import (
    PictureScorer,
    area_fraction,
    calibrated_level,
    decide,
)
from core.pictures.words import PictureWords

NUM = 12

GOOD, DEFECTIVE, LOOK = "good", "defective", "look"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts") / "defect_detection" / "train" / "model"
    make_defect_model(error_rate=0.3).save(folder)
    return folder


@pytest.fixture(scope="module")
def test_rows():
    return blob_samples(NUM, seed=5)[0]


@pytest.fixture
def pictures(tmp_path, test_rows):
    folder = tmp_path / "pictures"
    for row, image in enumerate(images_of(test_rows)):
        path = folder / ("late" if row % 2 else "early") / f"part {row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(image.pixels[:, :, 0]).save(path)
    return folder


def name_of(row):
    return f"{'late' if row % 2 else 'early'}/part {row}.png"


def test_folder_gives_the_models_own_probabilities_in_natural_order(pictures, model_folder, test_rows, tmp_path):
    summary = predict_files(pictures, tmp_path / "out.csv", model_folder)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(table.columns) == [
        "file", "probability", "probability_bright", "probability_dark", "decision", "defect_area", "abstain",
        "seconds", "problem",
    ]  # fmt: skip
    assert table["file"].tolist() == [name_of(row) for row in (*range(0, NUM, 2), *range(1, NUM, 2))]
    model = ScoringModel.load(model_folder)
    expected = dict(zip(map(name_of, range(NUM)), model.predict_probability(test_rows)[:, 1], strict=True))
    assert np.allclose(table["probability"], [expected[name] for name in table["file"]], atol=1e-5)
    assert np.allclose(table["probability_bright"] + table["probability_dark"], table["probability"], atol=1e-5)
    assert (table["problem"] == "").all() and (table["seconds"] > 0).all()
    assert (summary.rows, summary.scored, summary.unreadable) == (NUM, NUM, 0)
    assert "images a second" in str(summary)


def test_decisions_areas_and_heat_maps_belong_together(pictures, model_folder, tmp_path):
    summary = predict_files(pictures, tmp_path / "out.csv", model_folder)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    abstains = table["abstain"].astype(str) == "True"
    expected = np.where(abstains, LOOK, np.where(table["probability"] >= 0.4, DEFECTIVE, GOOD))
    assert table["decision"].tolist() == expected.tolist()
    assert {GOOD, DEFECTIVE} <= set(table["decision"])
    is_good = table["decision"] == GOOD
    assert (table.loc[is_good, "defect_area"] == 0).all() and table["defect_area"].between(0, 1).all()
    assert table.loc[~is_good, "defect_area"].max() > 0
    maps = {p.relative_to(summary.heat_folder).as_posix() for p in summary.heat_folder.rglob("*.png")}
    assert maps == {f"{name}.png" for name in table.loc[~is_good, "file"]}
    with PillowImage.open(summary.heat_folder / sorted(maps)[0]) as shown:
        assert shown.size == (SIZE_PX, SIZE_PX) and shown.mode == "RGB"


def test_without_reasons_there_are_no_maps_and_no_area(pictures, model_folder, tmp_path):
    predict_files(pictures, tmp_path / "out.csv", model_folder, explain=False)
    assert "defect_area" not in pd.read_csv(tmp_path / "out.csv").columns
    assert not (tmp_path / "out_heat_maps").exists()


def test_every_map_is_written_on_request(pictures, model_folder, tmp_path):
    summary = predict_files(pictures, tmp_path / "out.csv", model_folder, is_every_map=True)
    assert summary.num_heat_maps == NUM == len(list(summary.heat_folder.rglob("*.png")))


def test_chunks_do_not_change_the_result(pictures, model_folder, tmp_path):
    told = []
    predict_files(pictures, tmp_path / "a.csv", model_folder, rows_per_chunk=5, progress=told.append, explain=False)
    predict_files(pictures, tmp_path / "b.csv", model_folder, explain=False)
    left, right = (pd.read_csv(tmp_path / name).drop(columns="seconds") for name in ("a.csv", "b.csv"))
    pd.testing.assert_frame_equal(left, right, atol=1e-5)
    assert len(told) == 3 and f"{NUM} of {NUM}" in told[-1]


def test_broken_files_stay_rows_for_a_person_to_look_at(pictures, model_folder, tmp_path):
    (pictures / "empty.png").write_bytes(b"")
    (pictures / "text.jpg").write_text("no picture")
    (pictures / "=cmd.png").write_bytes((pictures / "early" / "part 0.png").read_bytes()[:60])
    (pictures / "notes.txt").write_text("x")
    summary = predict_files(pictures, tmp_path / "out.csv", model_folder)
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False).set_index("file")
    assert (summary.rows, summary.unreadable) == (NUM + 3, 3)
    for name, reason in {"empty.png": "empty", "text.jpg": "no picture", "'=cmd.png": "truncated"}.items():
        assert table.loc[name, "decision"] == LOOK and reason in table.loc[name, "problem"]
        assert table.loc[name, "probability"] == ""
    assert "1 files that are no pictures" in str(summary)


def test_only_broken_files_is_no_error(tmp_path, model_folder):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    summary = predict_files(tmp_path / "in", tmp_path / "out.csv", model_folder)
    assert summary.decisions == {LOOK: 1}


def test_second_run_does_not_read_the_maps_of_the_first(pictures, model_folder):
    for _ in range(2):
        summary = predict_files(pictures, pictures / "out.csv", model_folder, is_every_map=True)
        assert summary.rows == NUM


def test_error_leaves_the_old_output(pictures, model_folder, tmp_path, monkeypatch):
    output = tmp_path / "out.csv"
    output.write_text("old")
    (tmp_path / "out_heat_maps").mkdir()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(PictureScorer, "score", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_files(pictures, output, model_folder)
    assert output.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out_heat_maps", "pictures"]


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members:
            archive.writestr(name, raw)


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in members:
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))


@pytest.mark.parametrize(("suffix", "write"), [("zip", write_zip), ("tar.gz", write_tar)])
def test_archive_is_read_and_an_unsafe_one_refused(suffix, write, pictures, model_folder, tmp_path):
    raw = (pictures / "early" / "part 0.png").read_bytes()
    write(tmp_path / f"in.{suffix}", [("a/1.png", raw), ("b/2.png", raw)])
    summary = predict_files(tmp_path / f"in.{suffix}", tmp_path / "out.csv", model_folder, explain=False)
    assert summary.rows == 2
    assert pd.read_csv(tmp_path / "out.csv")["file"].tolist() == ["a/1.png", "b/2.png"]
    write(tmp_path / f"bad.{suffix}", [("../evil.png", raw)])
    with pytest.raises(BadInputError, match="out of its folder"):
        predict_files(tmp_path / f"bad.{suffix}", tmp_path / "out.csv", model_folder)
    assert not (tmp_path.parent / "evil.png").exists()


def test_pattern_single_file_and_missing_input(pictures, tmp_path):
    with input_files(pictures / "early" / "*.png") as given:
        assert [name for name, _ in given.files] == [f"part {row}.png" for row in range(0, NUM, 2)]
    with input_files(pictures / "**" / "part 1*.png") as given:
        assert [name for name, _ in given.files] == ["early/part 10.png", "late/part 1.png", "late/part 11.png"]
    with input_files(pictures / "early" / "part 0.png") as given:
        assert [name for name, _ in given.files] == ["part 0.png"]
    with pytest.raises(MissingArtifactError), input_files(tmp_path / "nowhere"):
        pass
    with pytest.raises(BadInputError, match="No file matches"), input_files(pictures / "*.xyz"):
        pass
    (tmp_path / "void").mkdir()
    with pytest.raises(BadInputError, match="no pictures"), input_files(tmp_path / "void"):
        pass


def test_output_that_is_the_input_is_refused(pictures, model_folder):
    picture = pictures / "early" / "part 0.png"
    before = picture.read_bytes()
    with pytest.raises(BadInputError):
        predict_files(picture, picture, model_folder)
    assert picture.read_bytes() == before


def test_one_picture_is_scored_as_in_a_folder(pictures, model_folder, test_rows):
    model = ScoringModel.load(model_folder)
    found = predict_picture(PictureScorer(model), (pictures / name_of(3)).read_bytes())
    assert found["probability"] == pytest.approx(model.predict_probability(test_rows.take([3]))[0, 1], abs=1e-5)
    assert found["heat_map"].shape == (SIZE_PX, SIZE_PX)


def test_decide_prefers_a_person_where_the_model_abstains():
    found = decide(np.array([0.1, 0.4, 0.9, 0.9]), 0.4, np.array([False, False, False, True]), PictureWords())
    assert found.tolist() == [GOOD, DEFECTIVE, DEFECTIVE, LOOK]


def test_area_leaves_padding_out():
    from dataclasses import replace

    from core.images.image import Image
    from core.images.spec import ImageSpec

    image = replace(Image.of_pixels(np.zeros((20, 20, 1), np.uint8)), height_px=10, width_px=20)
    heat = np.zeros((20, 20))
    heat[:10] = 1.0  # five rows of padding above, then five of the ten rows of the picture
    assert area_fraction(heat, 0.5, image, ImageSpec(size_px=20, fit="pad")) == 0.5
    assert area_fraction(heat, 0.5, image, ImageSpec(size_px=20, fit="squash")) == 0.5
    heat[:] = 0.0
    heat[:5] = 1.0
    assert area_fraction(heat, 0.5, image, ImageSpec(size_px=20, fit="pad")) == 0.0


def test_level_is_taken_from_evaluate_of_the_same_model_only(model_folder):
    model = ScoringModel.load(model_folder)
    path = model_folder.parent.parent / "evaluate" / "evidence" / "evidence.json"
    assert calibrated_level(model, model_folder) == 0.5
    write_json(path, {"localisation": {"level": 0.31, "of_threshold": model.threshold}})
    assert calibrated_level(model, model_folder) == 0.31
    write_json(path, {"localisation": {"level": 0.31, "of_threshold": model.threshold + 0.1}})
    assert calibrated_level(model, model_folder) == 0.5
    path.unlink()


def test_model_without_a_picture_spec_is_refused(model_folder):
    from dataclasses import replace

    model = ScoringModel.load(model_folder)
    with pytest.raises(VerificationError):
        PictureScorer(replace(model, spec=None))
    with pytest.raises(VerificationError):
        PictureScorer(replace(model, spec=replace(SPEC, columns=SPEC.columns[1:])))
