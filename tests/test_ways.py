"""Which way is recommended for which labels."""

import pytest

from core.errors import BadInputError
from verticals.defect_detection.ways import recommend


@pytest.mark.parametrize(
    ("num_good", "num_defective", "num_source", "has_templates", "way", "transfer", "learner"),
    [
        (500, 50, 0, False, "supervised", "target_only", "image_probe"),
        (500, 300, 200, False, "supervised", "pooled", "image_probe"),
        (500, 49, 0, False, "supervised", "target_only", "image_probe"),
        (500, 10, 0, True, "supervised", "target_only", "image_probe"),
        (500, 9, 200, False, "adapted", "aligned", "image_probe"),
        (0, 0, 200, False, "adapted", "aligned", "image_probe"),
        (0, 0, 200, True, "adapted", "aligned", "image_probe"),
        (500, 9, 9, False, "good_only", "target_only", "memory_bank"),
        (4, 0, 0, False, "good_only", "target_only", "memory_bank"),
        (4, 0, 0, True, "template", "target_only", "golden_template"),
    ],
)
def test_recommendation_by_labels(num_good, num_defective, num_source, has_templates, way, transfer, learner):
    found = recommend(num_good, num_defective, num_source, has_templates=has_templates)
    assert (found.way, found.transfer, found.learner) == (way, transfer, learner)


def test_recommendation_tells_its_counts():
    assert "no labelled defects" in recommend(20, 0).reason
    assert "1 labelled defect," in recommend(20, 1, 40).reason
    assert "57 labelled defects" in recommend(20, 57).reason


@pytest.mark.parametrize("counts", [(3, 0, 0), (0, 5, 0), (0, 0, 9), (-1, 60, 0)])
def test_recommendation_without_enough_labels_is_refused(counts):
    with pytest.raises(BadInputError):
        recommend(*counts)
