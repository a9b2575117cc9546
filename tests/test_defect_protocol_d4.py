"""D4 on a few small ground tiles: its figures, its targets, and what it says without the data."""

import numpy as np
import pandas as pd
import pytest
from ground_surfaces import ground_surface
from PIL import Image as Picture
from sklearn.metrics import roc_auc_score

from core.errors import MissingArtifactError
from core.images.image import Image
from core.images.spec import ImageSpec
from verticals.defect_detection.importing import import_domain
from verticals.defect_detection.protocols import d4
from verticals.defect_detection.protocols.d4_figures import (
    SeedScores,
    auc_figure,
    inner_maps,
    inner_masks,
    rate_figure,
)

TINY = {"backbone": "test_efficientnet", "scratch_seed": 0, "precision": "fp32"}
SIDE = 64


def write_tiles(folder):
    rows = []
    for kind, num_groups in (("good", 12), ("blowhole", 6), ("uneven", 6)):
        for number in range(2 * num_groups):
            height, width = 60, 40 + 2 * (number % 4)
            grey, mask = ground_surface(height, width, defect=kind, seed=len(rows))
            name = f"{kind}_{number}.png"
            Picture.fromarray(grey).save(folder / name)
            Picture.fromarray((mask * 255).astype(np.uint8)).save(folder / f"mask_{name}")
            told = f"mask_{name}" if kind != "good" else ""
            rows.append({"file": name, "label": kind, "mask": told, "tile_group": f"{kind}_{number // 2}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    root, pictures = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("pictures")
    write_tiles(pictures)
    import_domain(
        pictures, root / "data", "magnetic_tile", label="label", negative="good", group="tile_group", mask="mask"
    )
    bank = {**TINY, "stages": (2, 3), "image_fit": "native", "use_border_bins": True, "bank_size": 100}
    cues = {"image_fit": "native", "window_px": 8, "margin_px": 4, "num_dark_px": 10}
    fused = {
        "parts": ({"learner": "memory_bank", "options": bank}, {"learner": "surface_cues", "options": cues}),
        "use_size_correction": True,
    }
    return d4.run(
        root,
        report=lambda line: None,
        seeds=(0, 1),
        sizes={name: ImageSpec(size_px=SIDE, fit=fit) for name, fit in (("native", "native"), ("squash", "squash"))},
        single={"gaussian_features": ("squash", "gaussian_features", {**TINY, "stages": (2, 3)})},
        fused=fused,
        probe={**TINY, "head": "logistic", "stages": (2, 3), "strength": 100.0, "views": "none"},
        budgets=(8,),
    )


def test_d4_result_has_both_parts_with_intervals_that_hold_the_value(result):
    names = {(row["part"], row["method"]) for row in result["methods"]}
    assert ("good_only", "memory_bank_and_surface_cues") in names and ("supervised", "image_probe") in names
    for row in [*result["methods"], *result["few_labels"]]:
        assert row["low"] <= row["value"] <= row["high"] and 0 <= row["value"] <= 1


def test_d4_good_only_rows_have_kinds_localisation_and_rates(result):
    for row in result["methods"]:
        if row["part"] != "good_only":
            continue
        assert set(row["by_kind"]) == {"blowhole", "uneven"} and len(row["by_seed"]) == 2
        assert row["value"] == pytest.approx(np.mean(row["by_seed"]))
        assert all(0 <= row[name] <= 1 for name in ("pixel_auroc", "aupro", "best_iou"))
        recalls = [at["recall"]["value"] for at in row["at_threshold_of_good_parts"]]
        assert recalls == sorted(recalls, reverse=True)


def test_d4_supervised_rows_tell_kinds_apart(result):
    rows = {row["method"]: row for row in result["methods"] if row["part"] == "supervised"}
    assert 0 < rows["image_probe"]["macro_f1"] <= 1
    confusion = np.array(rows["image_probe"]["confusion"]["rows_true"])
    assert confusion.sum() == 48 and confusion[0].sum() == 24


def test_d4_target_is_met_only_at_the_aim(result):
    for row in result["target"]:
        assert row["is_met"] == (row["value"] >= row["aim"])


def test_d4_without_the_import_tells_the_command(tmp_path):
    with pytest.raises(MissingArtifactError) as caught:
        d4.run(tmp_path)
    assert d4.IMPORT_COMMAND in str(caught.value) + str(caught.value.repair)


def test_auc_figure_is_the_mean_of_the_seeds_on_their_own_rows():
    generator = np.random.default_rng(0)
    labels, groups = generator.random(60) < 0.5, np.arange(60) // 2
    seeds = [SeedScores(np.sort(generator.choice(60, 40, replace=False)), generator.random(40)) for _ in range(2)]
    expected = np.mean([roc_auc_score(labels[one.rows], one.score) for one in seeds])
    assert auc_figure(labels, groups, seeds)["value"] == pytest.approx(expected)


def test_rate_figure_equals_a_plain_loop():
    counted, groups = np.arange(10) % 3 > 0, np.arange(10) // 2
    seeds = [SeedScores(np.arange(2, 10), np.arange(8.0), 4.5), SeedScores(np.arange(0, 8), np.arange(8.0), 2.5)]
    rates = []
    for one in seeds:
        hits = [score > one.threshold for row, score in zip(one.rows, one.score, strict=True) if counted[row]]
        rates.append(np.mean(hits))
    assert rate_figure(counted, groups, seeds)["value"] == pytest.approx(np.mean(rates))


def test_inner_maps_and_masks_leave_the_padding_out():
    square = np.full((64, 64), 9.0, dtype=np.float32)
    square[16:48, 8:56] = 1.0  # where 32 x 48 lies
    image = Image.of_pixels(square.astype(np.uint8), height_px=32, width_px=48)
    inside = inner_maps(square[None], [image], "native")
    assert inside[0, 3:-3, 3:-3].max() == pytest.approx(1.0)
    assert not inner_masks((square > 5)[None], [image], "native").any()
