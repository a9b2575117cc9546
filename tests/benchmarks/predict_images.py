"""How fast `predict` is on pictures: files in, rows out, against PyTorch eager fp32 of the same path, in one run (S2).

    python tests/benchmarks/predict_images.py

Both sides read and fit the same files with the same code; the plain side runs the same backbone and head in eager
fp32. The feature cache is emptied before every pass, so that every picture is encoded each time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as PillowImage

from core.artifacts import write_json
from core.data.domain import ColumnSpec, DomainSpec
from core.data.feature_cache import FeatureCache
from core.data.samples import Samples
from core.images.image import images_of, stack_pixels
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.learners.scoring_model import ScoringModel
from core.params import PrepareParams, VerticalParams
from core.pictures.graph_scores import BATCH_SIZE, eager_score
from core.pictures.input_files import input_files
from core.pictures.onnx_files import build_module
from core.pictures.predicting import predict_files
from core.pictures.scorer import PictureScorer
from core.stages.train import calibrate
from core.threads import num_threads
from core.vertical import load_vertical

TARGET_TIMES_AS_FAST, TARGET_DIFFERENCE = 2.5, 1e-3


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a saved model; default: fit one on generated pictures")
    parser.add_argument("--pictures", type=Path, help="a folder of pictures; default: generated ones")
    parser.add_argument("--num", type=int, default=96, help="generated pictures to score (96)")
    parser.add_argument("--size-px", type=int, default=320, help="of generated pictures (320)")
    parser.add_argument("--repeats", type=int, default=3, help="passes of each side, in turn (3)")
    parser.add_argument("--output", type=Path, default=Path("verticals/defect_detection/results/s2.json"))
    return parser.parse_args()


def generated(num: int, size_px: int, seed: int) -> Samples:
    """Pictures with planted blobs, of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from image_samples import image_samples

    return image_samples(num, size=size_px, seed=seed)[0]


def fit_model(size_px: int) -> ScoringModel:
    """`image_probe` as params.yaml has it, on generated pictures."""
    train, valid = (generated(40, size_px, seed) for seed in (1, 2))
    params = VerticalParams(prepare=PrepareParams(target_domain="generated"))
    learner = LEARNERS["image_probe"]({}, seed=0).fit(train)
    spec = DomainSpec(
        name="generated",
        vertical="defect_detection",
        columns=(ColumnSpec("image", kind="image", image=ImageSpec(size_px=size_px)),),
    )
    model = calibrate(learner, valid, load_vertical("defect_detection"), params, seed=0)
    return model.with_context(spec=spec, train=train, options={}, provenance={})


def score_plainly(folder: Path, scorer: PictureScorer, score) -> np.ndarray:
    """(N,) probabilities in the order of the files, a batch at a time."""
    found = []
    with input_files(folder) as given:
        paths = [path for _, path in given.files]
        for start in range(0, len(paths), BATCH_SIZE):
            images = [scorer.read(path.read_bytes()) for path in paths[start : start + BATCH_SIZE]]
            found.append(score(stack_pixels(images)))
    return np.concatenate(found)


def measure(chosen: argparse.Namespace, folder: Path) -> dict:
    """Both sides in turn."""
    model_folder = chosen.model or folder / "model"
    if chosen.model is None:
        fit_model(chosen.size_px).save(model_folder)
    pictures = chosen.pictures or folder / "pictures"
    if chosen.pictures is None:
        pictures.mkdir()
        for row, image in enumerate(images_of(generated(chosen.num, chosen.size_px, 3))):
            PillowImage.fromarray(image.pixels[:, :, 0]).save(pictures / f"{row:05d}.png")
    model = ScoringModel.load(model_folder)
    scorer, plain = PictureScorer(model), eager_score(build_module(model))
    scorer.score(scorer.samples_of([next(iter(images_of(generated(1, chosen.size_px, 9))))]), use_heat_maps=False)
    seconds: dict[str, list[float]] = {"predict": [], "eager": []}
    probability = None
    for turn in range(chosen.repeats):
        FeatureCache().clear()
        started = time.perf_counter()
        predict_files(pictures, folder / "out.csv", model_folder, explain=False)
        seconds["predict"].append(time.perf_counter() - started)
        started = time.perf_counter()
        probability = score_plainly(pictures, scorer, plain)
        seconds["eager"].append(time.perf_counter() - started)
        print(f"turn {turn + 1}: {seconds['predict'][-1]:.1f} s, eager {seconds['eager'][-1]:.1f} s", flush=True)
    table = pd.read_csv(folder / "out.csv")
    difference = float(np.abs(table["probability"] - probability).max())
    times = float(np.median(np.array(seconds["eager"]) / np.array(seconds["predict"])))
    return {
        "pictures": len(table),
        "size_px": scorer.image_spec.side_px,
        "are_generated": chosen.pictures is None,
        "views": model.learner.options.views,
        "precision": model.learner.precision_,
        "threads": num_threads(),
        "predict_pictures_a_second": round(len(table) / min(seconds["predict"]), 2),
        "eager_fp32_pictures_a_second": round(len(table) / min(seconds["eager"]), 2),
        "times_as_fast": round(times, 3),
        "seconds": seconds,
        "largest_difference": difference,
        "decisions_that_differ": int(
            ((table["probability"] >= model.threshold).to_numpy() != (probability >= model.threshold)).sum()
        ),
        "target": {"times_as_fast": TARGET_TIMES_AS_FAST, "largest_difference": TARGET_DIFFERENCE},
        "is_met": bool(times >= TARGET_TIMES_AS_FAST and difference <= TARGET_DIFFERENCE),
    }


def main() -> None:
    """Measure and write."""
    chosen = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        os.environ["CROSSDOMAIN_CACHE"] = str(Path(name) / "cache")
        result = measure(chosen, Path(name))
    write_json(chosen.output, result)
    print(f"{result['times_as_fast']} times as fast, difference {result['largest_difference']:.2e}: {chosen.output}")


if __name__ == "__main__":
    main()
