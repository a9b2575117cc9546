"""What a vertical predicts, in words and with its unit, and how its pages write it."""

from __future__ import annotations

from apps.page import Page
from core.data.domain import DomainSpec
from core.params import parse_section
from core.regression.quantity import label_unit, label_words, with_unit

SMALLEST_P = 0.001


def target_spec(page: Page) -> DomainSpec:
    """The domain that the model is for.

    Raises:
        MissingArtifactError: prepare has not run.
    """
    specs = page.run.read_json("prepare", "specs.json")
    name = next(iter(specs))  # the target comes first
    return parse_section(DomainSpec, specs[name], where=f"specs.json/{name}")


def quantity(page: Page) -> str:
    """`cost of the repair (EUR)`.

    Raises:
        MissingArtifactError: prepare has not run.
    """
    spec = target_spec(page)
    return with_unit(page.word(label_words(spec)), label_unit(spec))


def p_text(p_value: float | None) -> str:
    """`0.034`, `< 0.001`, a dash where nothing was tested."""
    if p_value is None or p_value != p_value:
        return "–"
    return f"< {SMALLEST_P}" if p_value < SMALLEST_P else f"{p_value:.3f}"
