"""anomalib's PatchCore and PaDiM beside this project's memory_bank and gaussian_features: one backbone, one split.

    python tests/benchmarks/anomalib_side_by_side.py --folder magnetic_tile --anomalib-python venv/bin/python

anomalib lives in an environment of its own (without --anomalib-python one is made in a temporary folder, which takes
minutes and some gigabytes). Both sides get the same fitted pictures, the same weights of EfficientNet-Lite0, and learn
from the same good tiles; test tiles are of other groups. Pixels are scored at the size of the pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

REQUIREMENTS = ("torch==2.14.1", "torchvision==0.29.1", "anomalib==2.7.0", "safetensors")
LAYERS = ("blocks.2", "blocks.4")  # strides 8 and 16
CORESET_FRACTION = 0.02  # about as many cells as memory_bank keeps
BATCH_SIZE = 8


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder with labels.csv (file, is_defect, mask, tile_group)")
    parser.add_argument("--size-px", type=int, default=256)
    parser.add_argument("--train-fraction", type=float, default=0.5, help="of the groups with good tiles (0.5)")
    parser.add_argument("--max-rows", type=int, default=0, help="test rows, for a quick look; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--anomalib-python", type=Path, help="python of an environment that has anomalib")
    parser.add_argument("--output", type=Path, default=Path("verticals/defect_detection/results/anomalib.json"))
    parser.add_argument("--child", nargs=2, metavar=("INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def read_tiles(chosen: argparse.Namespace) -> dict[str, np.ndarray]:
    """pixels (N, S, S, 1), masks (N, S, S), is_defective, is_train, group of the tiles."""
    import pandas as pd

    from core.images.decoding import decode
    from core.images.fitting import fit, fit_mask
    from core.images.spec import ImageSpec

    table = pd.read_csv(chosen.folder / "labels.csv", keep_default_na=False)
    generator, spec = np.random.default_rng(chosen.seed), ImageSpec(size_px=chosen.size_px, colour="grey")
    is_defective = (table["is_defect"].astype(int) == 1).to_numpy()
    groups = np.unique(table.loc[~is_defective, "tile_group"])
    train_groups = generator.permutation(groups)[: round(chosen.train_fraction * len(groups))]
    is_in_group = table["tile_group"].isin(train_groups).to_numpy()
    rows = np.flatnonzero((is_in_group & ~is_defective) | ~is_in_group)  # no test tile of a training group
    if chosen.max_rows:
        test = generator.permutation(rows[~is_in_group[rows]])[: chosen.max_rows]
        rows = np.sort(np.concatenate([rows[is_in_group[rows]], test]))
    pixels, masks = [], []
    for row in table.iloc[rows].itertuples():
        pixels.append(fit(decode((chosen.folder / row.file).read_bytes()), spec))
        if row.is_defect and row.mask:
            masks.append(fit_mask(decode((chosen.folder / row.mask).read_bytes()), spec))
        else:
            masks.append(np.zeros((chosen.size_px, chosen.size_px), dtype=np.uint8))
    return {
        "pixels": np.stack(pixels),
        "masks": np.stack(masks),
        "is_defective": is_defective[rows],
        "is_train": is_in_group[rows],
        "group": table["tile_group"].to_numpy()[rows].astype(str),
    }


def run_ours(tiles: dict[str, np.ndarray]) -> dict[str, Any]:
    """Scores, maps and seconds of this project's two learners."""
    import pandas as pd

    from core.data.samples import Samples
    from core.data.table_schema import Feature, TableSchema
    from core.images.image import Image
    from core.learners import LEARNERS

    images = pd.Series([Image.of_pixels(one) for one in tiles["pixels"]], dtype=object)
    ids = np.array([f"tile/{row}" for row in range(len(images))], dtype=object)
    samples = Samples(
        inputs=pd.DataFrame({"image": images}),
        labels=tiles["is_defective"].astype(float),
        sample_ids=ids,
        domains=np.full(len(ids), "magnetic_tile", dtype=object),
        weights=np.ones(len(ids)),
        groups=tiles["group"].astype(object),
        schema=TableSchema((Feature("image", "image"),)),
    )
    train, test = samples.take(tiles["is_train"]), samples.take(~tiles["is_train"])
    result = {}
    for name in ("memory_bank", "gaussian_features"):
        for label, options in ((name, {}), (f"{name}_same_layers", {"stages": (4, 6)})):
            started = time.perf_counter()
            learner = LEARNERS[name](options, seed=0).fit(train)
            fitted = time.perf_counter()
            scores, maps = learner.image_scores(test), None
            scored = time.perf_counter()
            maps = learner.heat_maps(test)
            result[label] = {
                "scores": scores,
                "maps": maps,
                "fit_seconds": fitted - started,
                "score_seconds": scored - fitted,
            }
            print(f"{label}: fitted in {fitted - started:.0f} s, scored in {scored - fitted:.0f} s", flush=True)
    return result


def save_weights(path: Path) -> None:
    """The packaged Lite0 without its classifier, as timm names its tensors."""
    from safetensors.torch import save_file

    from core.backbones.image import ImageBackbone

    state = ImageBackbone.load("efficientnet_lite0").model.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path)


def make_environment(folder: Path) -> Path:
    """A fresh environment with anomalib; its python.

    Raises:
        RuntimeError: it cannot be installed; the last lines of pip are in the message.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run([str(python), "-m", "pip", "install", *REQUIREMENTS], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"anomalib cannot be installed: {done.stderr[-600:]}")
    return python


def run_child(input_path: Path, output_path: Path) -> None:
    """In anomalib's environment: fit and score both of its models; only torch and anomalib are imported."""
    import torch
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    from safetensors.torch import load_file

    tiles = np.load(input_path, allow_pickle=False)
    planes = torch.from_numpy(tiles["pixels"]).permute(0, 3, 1, 2).float().repeat(1, 3, 1, 1)
    planes = (planes - 127.0) / 128.0
    train, test = planes[torch.from_numpy(tiles["is_train"])], planes[torch.from_numpy(~tiles["is_train"])]
    weights = load_file(input_path.with_suffix(".safetensors"))
    found: dict[str, np.ndarray] = {}
    torch.manual_seed(0)
    for name, model in (
        ("patchcore", PatchcoreModel(layers=LAYERS, backbone="tf_efficientnet_lite0", pre_trained=False)),
        ("padim", PadimModel(layers=list(LAYERS), backbone="tf_efficientnet_lite0", pre_trained=False, n_features=100)),
    ):
        network = model.feature_extractor.feature_extractor
        wanted = network.state_dict()
        network.load_state_dict({key: weights[key] for key in wanted})
        model.train()
        network.eval()
        started = time.perf_counter()
        for start in range(0, len(train), BATCH_SIZE):
            stored = model(train[start : start + BATCH_SIZE])
            if name == "padim" and not any(stored is kept for kept in model.memory_bank):
                model.memory_bank.append(stored)
        if name == "patchcore":
            model.subsample_embedding(CORESET_FRACTION)
        else:
            model.fit()
        fitted = time.perf_counter()
        model.eval()
        with torch.inference_mode():
            parts = [model(test[start : start + BATCH_SIZE]) for start in range(0, len(test), BATCH_SIZE)]
        scored = time.perf_counter()
        found[f"{name}_scores"] = torch.cat([part.pred_score.flatten() for part in parts]).numpy()
        found[f"{name}_maps"] = torch.cat([part.anomaly_map.flatten(0, 1) for part in parts]).numpy()
        found[f"{name}_seconds"] = np.array([fitted - started, scored - fitted])
        print(f"anomalib {name}: fitted in {fitted - started:.0f} s, scored in {scored - fitted:.0f} s", flush=True)
    np.savez(output_path, **found)


def judge(scores: np.ndarray, maps: np.ndarray, tiles: dict[str, np.ndarray]) -> dict[str, float]:
    """Image AUROC and pixel AUROC on the test tiles."""
    from core.evaluation.localisation import pixel_auroc
    from core.evaluation.metrics import METRICS
    from core.explain.heat_maps import enlarge

    is_test = ~tiles["is_train"]
    _, place = np.unique(scores, return_inverse=True)
    ranks = place / max(place.max(), 1)
    probability = np.column_stack([1 - ranks, ranks])
    side = tiles["masks"].shape[1]
    return {
        "image_auroc": METRICS["auc"].function(tiles["is_defective"][is_test].astype(int), probability, 1),
        "pixel_auroc": pixel_auroc(enlarge(maps, side)[:, ::2, ::2], tiles["masks"][is_test][:, ::2, ::2]),
    }


def main() -> None:
    """Both sides, one JSON."""
    chosen = parse_arguments()
    if chosen.child:
        run_child(*map(Path, chosen.child))
        return
    from core.artifacts import write_json

    if chosen.folder is None:
        sys.exit("--folder: where labels.csv, images/ and masks/ of the tiles are")
    tiles = read_tiles(chosen)
    is_test = ~tiles["is_train"]
    result: dict[str, Any] = {
        "data": f"{chosen.folder.name}, {chosen.size_px} px, groups apart, seed {chosen.seed}",
        "train_good": int(tiles["is_train"].sum()),
        "test_good": int((is_test & ~tiles["is_defective"]).sum()),
        "test_defective": int((is_test & tiles["is_defective"]).sum()),
        "backbone": "efficientnet_lite0, the same tensors on both sides",
    }
    for name, found in run_ours(tiles).items():
        times = {key: round(found[key], 2) for key in ("fit_seconds", "score_seconds")}
        result[name] = {**judge(found["scores"], found["maps"], tiles), **times}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "tiles.npz", **{name: tiles[name] for name in ("pixels", "is_train")})
        save_weights(folder / "tiles.safetensors")
        try:
            python = chosen.anomalib_python or make_environment(folder / "environment")
            command = [str(python), __file__, "--child", str(folder / "tiles.npz"), str(folder / "found.npz")]
            subprocess.run(command, check=True)
        except (RuntimeError, subprocess.CalledProcessError, OSError) as error:
            result["anomalib_error"] = str(error)
        else:
            found = np.load(folder / "found.npz", allow_pickle=False)
            for name in ("patchcore", "padim"):
                seconds = found[f"{name}_seconds"].round(2).tolist()
                times = dict(zip(("fit_seconds", "score_seconds"), seconds, strict=True))
                result[f"anomalib_{name}"] = {**judge(found[f"{name}_scores"], found[f"{name}_maps"], tiles), **times}
    write_json(chosen.output, result)
    print(chosen.output)


if __name__ == "__main__":
    main()
