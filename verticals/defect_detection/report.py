"""What a defect report shows beyond the common sections: pictures with heat maps, and which way is recommended."""

from __future__ import annotations

from core.data.prepared import read_manifest
from core.errors import BadInputError
from core.params import parse_section
from core.pictures.sections import picture_sections
from core.pictures.words import PictureWords
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section
from verticals.defect_detection.options import DefectOptions
from verticals.defect_detection.ways import Recommendation, recommend


def report_sections(facts: RunFacts) -> list[Section]:
    """The sections of pictures, and the recommendation."""
    return [*picture_sections(facts, PictureWords()), _way_section(facts)]


def _way_section(facts: RunFacts) -> Section:
    """The recommendation against what was run."""
    options = parse_section(DefectOptions, facts.params.options, where="defect_detection.options")
    run = f"This run: transfer {facts.params.train.transfer}, learner {facts.params.train.learner}, way {options.way}."
    try:
        found = recommendation_of(facts)
    except BadInputError as error:
        return Section(title="Which way is recommended?", text=f"{error} {run}")
    return Section(
        title="Which way is recommended?",
        text=(
            f"{found.way.replace('_', ' ').capitalize()} (transfer {found.transfer}, learner {found.learner}). "
            f"{found.reason} {run}"
        ),
    )


def recommendation_of(facts: RunFacts) -> Recommendation:
    """From the labels that training was allowed to see.

    Raises:
        BadInputError: too few for any way.
    """
    manifest = read_manifest(facts.artifacts)
    train = manifest[(manifest["split"] == "train") & manifest["label"].notna() & ~manifest["is_masked"].astype(bool)]
    is_target = train["domain"] == facts.params.prepare.target_domain
    is_positive = train["label"] == facts.vertical.positive_index
    return recommend(
        int((is_target & ~is_positive).sum()),
        int((is_target & is_positive).sum()),
        int((~is_target & is_positive).sum()),
        has_templates=facts.params.train.learner == "golden_template",
    )
