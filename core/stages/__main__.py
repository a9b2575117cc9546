"""`python -m core.stages STAGE VERTICAL`: what dvc.yaml calls. Prints what it does and how long it took."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from core.artifacts import Artifacts, remove_leftovers
from core.errors import CrossdomainError
from core.lifecycle.process import die_if_asked
from core.params import load_params
from core.stages import STAGES
from core.vertical import load_vertical


def run_stage(stage: str, vertical_name: str, *, root: Path) -> None:
    """Run one stage with the parameters in `root/params.yaml`.

    Raises:
        CrossdomainError: whatever the stage found wrong, with its repair.
    """
    vertical = load_vertical(vertical_name)
    params = load_params(root / "params.yaml", vertical_name, vertical.params_type)
    artifacts = Artifacts(root / "artifacts", vertical_name)
    name = vertical.stage_name(stage)
    function = getattr(importlib.import_module(f"core.stages.{name}"), name)
    started = time.perf_counter()
    seed = getattr(getattr(params, stage), "seed", 0)
    remove_leftovers(artifacts.path(stage))  # DVC lets one in
    if stage == "prepare":
        function(vertical, params, artifacts, seed=seed, data_folder=root / "data")
    else:
        function(vertical, params, artifacts, seed=seed)
    print(f"{stage} {vertical_name}: done in {time.perf_counter() - started:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or the error's own."""
    parser = argparse.ArgumentParser(prog="python -m core.stages", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("vertical")
    chosen = parser.parse_args(arguments)
    die_if_asked()
    try:
        run_stage(chosen.stage, chosen.vertical, root=Path.cwd())
    except CrossdomainError as error:
        print(f"{chosen.stage} {chosen.vertical}: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
