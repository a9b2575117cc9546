"""A project folder with small, complete runs of all verticals, made by the stages themselves, for pages to read."""

from __future__ import annotations

import importlib
import subprocess
from dataclasses import replace
from pathlib import Path

import two_lenders
import two_lines
from ruamel.yaml import YAML

from core.artifacts import Artifacts
from core.params import load_params
from core.stages import STAGES
from core.vertical import load_vertical

VERTICALS = ("credit_risk", "defect_detection", "chest_xray")
TINY = {"model": "test_efficientnet", "scratch_seed": 0, "stages": [1, 2], "precision": "fp32", "head": "logistic"}
EVALUATE = {"num_bootstrap": 100, "min_slice_rows": 5}
COMPARE = {"methods": ["target_only", "source_only", "pooled"], "budgets": [20, "all"], "num_draws": 2,
           "num_bootstrap": 100}  # fmt: skip
PICTURES = {
    "prepare": {"target_domain": "line_a", "source_domains": ["line_b"]},
    "train": {"transfer": "pooled", "learner": "image_probe", "learner_options": {"image_probe": TINY},
              "trackers": []},
    "evaluate": EVALUATE, "compare": COMPARE,
    "export": {"num_latency_rows": 4, "pruned_fractions": [], "student_seconds": 0.0},
    "options": {"num_examples": 2, "evidence_rows": 8, "robustness_rows": 8},
}  # fmt: skip
PARAMS = {
    "credit_risk": {
        "prepare": {"target_domain": "near", "source_domains": ["far"]},
        "train": {"transfer": "pooled", "learner": "logistic_regression", "trackers": []},
        "evaluate": EVALUATE, "compare": COMPARE, "export": {"num_latency_rows": 20},
    },
    "defect_detection": PICTURES,
    "chest_xray": {**PICTURES, "options": {**PICTURES["options"], "adversarial_rows": 2, "sanity_rows": 1}},
}  # fmt: skip


def write_small_run(root: Path, verticals: tuple[str, ...] = VERTICALS) -> Path:
    """`root` with params.yaml, data and the artifacts of every stage of the verticals."""
    root.mkdir(parents=True, exist_ok=True)
    YAML().dump(PARAMS, root / "params.yaml")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "data.dvc").write_text("outs:\n- md5: 0123456789abcdef.dir\n  path: data\n")
    for name in verticals:
        write_domains(root / "data", name)
        run_stages(root, name)
    return root


def write_domains(data: Path, name: str) -> None:
    """Two lenders, or two lines, as domains of the vertical."""
    if name == "credit_risk":
        for spec, rows in ((two_lenders.NEAR, two_lenders.near_rows(160)), (two_lenders.FAR, two_lenders.far_rows())):
            two_lenders.write_lender(data, replace(spec, vertical=name), rows)
        (data / "toy_credit").rename(data / name)
        return
    is_synthetic = name == "chest_xray"
    for spec, seed in ((two_lines.LINE_A, 0), (two_lines.LINE_B, 1)):
        two_lines.write_line(data, replace(spec, vertical=name, is_synthetic=is_synthetic), num=80, seed=seed)
    (data / "toy_line").rename(data / name)


def run_stages(root: Path, name: str) -> None:
    """All six stages, as `dvc repro` would call them."""
    vertical, params = load_vertical(name), load_params(root / "params.yaml", name)
    artifacts = Artifacts(root / "artifacts", name)
    for stage in STAGES:
        more = {"data_folder": root / "data"} if stage == "prepare" else {}
        getattr(importlib.import_module(f"core.stages.{stage}"), stage)(vertical, params, artifacts, seed=0, **more)


def commit_all(root: Path, subject: str) -> None:
    """The folder's metrics and params as a commit."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", *identity, "add", "-f", "params.yaml", "data.dvc", *map(str, _metrics(root))],
                   cwd=root, check=True)  # fmt: skip
    subprocess.run(["git", *identity, "commit", "-qm", subject, "--allow-empty"], cwd=root, check=True)


def _metrics(root: Path) -> list[Path]:
    return [path.relative_to(root) for path in root.glob("artifacts/*/*/*metrics.json")]
