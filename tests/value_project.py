"""A project with a whole run of `small_values`, and a vertical package of it that is known while a test needs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML
from small_values import SECTION, VERTICAL, value_params, write_prepared

import verticals
from core.stages.value_compare import value_compare
from core.stages.value_evaluate import value_evaluate
from core.stages.value_export import value_export
from core.stages.value_report import value_report
from core.stages.value_train import value_train

NAME = VERTICAL.name
PACKAGE = """
from dataclasses import replace
from functools import partial

from small_values import VERTICAL as BARE

from core.regression.predicting import predict_values
from core.regression.value_scorer import ValueScorer

VERTICAL = replace(BARE, predict=partial(predict_values, ValueScorer), open_scorer=ValueScorer.load)
"""


def write_value_project(root: Path) -> Path:
    """params.yaml and `artifacts/` with all stages run; not to be changed."""
    with (root / "params.yaml").open("w") as file:
        YAML().dump({NAME: SECTION}, file)
    artifacts = write_prepared(root / "artifacts")
    for stage in (value_train, value_evaluate, value_compare, value_export, value_report):
        stage(VERTICAL, value_params(), artifacts, seed=0)
    return root


@contextmanager
def known_value_vertical(folder: Path) -> Iterator[None]:
    """Inside, `verticals.repair_cost` is a package like any other."""
    package = folder / NAME
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    before = verticals.__path__
    verticals.__path__ = [*before, str(folder)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        verticals.__path__ = before
        sys.modules.pop(f"verticals.{NAME}", None)
        if hasattr(verticals, NAME):
            delattr(verticals, NAME)
