"""What `evaluate` adds for a line: where, which kind, how sure, how robust, and examples to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.params import parse_section
from core.pictures.evidence import evaluate_pictures
from core.stages.evaluate import EvaluationFacts
from verticals.defect_detection.options import DefectOptions


def evaluate_more(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """Writes the tables and pictures of `evaluate_pictures`."""
    options = parse_section(DefectOptions, facts.params.options, where="defect_detection.options")
    return evaluate_pictures(facts, folder, options)
