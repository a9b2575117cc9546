"""Reasons for an adverse decision in the words of domain.yaml."""

from __future__ import annotations

from dataclasses import replace

from core.data.table_schema import TableSchema
from core.explain.reasons import ReasonWriter
from core.learners.scoring_model import ScoringModel
from core.tables.options import TableOptions


def make_reason_writer(model: ScoringModel, options: TableOptions) -> ReasonWriter:
    """Writes reasons in the model's columns, with the options' currency, protected attributes marked.

    Regulation B (12 CFR 1002.9(b)(2)) asks lenders for the specific reasons that were used. A protected attribute
    that raised the risk is therefore not hidden; it is marked, so that it is never sent without being
    noticed.
    """
    protected = set(model.spec.protected) if model.spec else set()
    features = tuple(
        replace(
            feature,
            unit=options.currency if feature.unit == "currency" and options.currency else feature.unit,
            is_protected=feature.is_protected or feature.name in protected,
        )
        for feature in model.schema.features
    )
    return ReasonWriter(TableSchema(features), model.typical)
