"""A project folder with a small, complete run of market_risk on made-up markets, made by the stages themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core.prices.synthetic import write_synthetic_market
from core.stages import STAGES
from core.stages.__main__ import run_stage

FAST = {"epochs": 2, "source_epochs": 1, "num_members": 1, "width": 4}
NETWORKS = ("network", "network_source_only", "network_lp_ft")
SECTION = {
    "prepare": {"target_domain": "here", "source_domains": ["there", "elsewhere"], "test_fraction": 0.4},
    "train": {"method": "network_lp_ft", "method_options": {n: FAST for n in NETWORKS}, "refit_days": 400},
    "evaluate": {"rival": "ewma", "num_bootstrap": 200},
    "compare": {
        "baseline": "ewma", "methods": ["ewma", "har", "har_shrunk", *NETWORKS], "budgets": [250, "all"],
        "num_bootstrap": 200,
    },
}  # fmt: skip


def write_params(root: Path, section: dict[str, Any] = SECTION, **changes: dict[str, Any]) -> None:
    """params.yaml with the section, changed by stage, and an empty dvc.yaml."""
    section = {**section, **{stage: {**section.get(stage, {}), **values} for stage, values in changes.items()}}
    with (root / "params.yaml").open("w") as file:
        YAML().dump({"market_risk": section}, file)
    (root / "dvc.yaml").write_text("stages: {}\n")


def write_market_run(root: Path) -> Path:
    """Three markets and what every stage makes of them."""
    for seed, name in enumerate(("here", "there", "elsewhere")):
        write_synthetic_market(root / "data", name, num_days=1200, seed=seed, vertical="market_risk")
    write_params(root)
    for stage in STAGES:
        run_stage(stage, "market_risk", root=root)
    return root
