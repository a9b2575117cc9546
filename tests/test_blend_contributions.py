"""What a blend of learners tells of a row: the weighted sum of what its parts tell, whatever they are."""

import numpy as np
import pytest
from small_tables import make_table

from core.data.samples import concatenate
from core.explain.occlusion import occlusion_contributions
from core.explain.typical_values import typical_values
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.blend import Blend
from core.learners.logistic_regression import LogisticRegression

PARTS = [
    {"learner": "logistic_regression", "options": {"strength": 3.0}},
    {"learner": "kernel_logistic", "options": {"num_waves": 50}},
    {"learner": "boosted_trees", "options": {"num_rounds": 20, "early_stopping_rounds": 0}},
]
COLUMNS = ["amount", "months", "purpose", "level"]  # as in the schema; no part reads the text


@pytest.fixture(scope="module")
def table():
    return make_table()


def test_contributions_are_the_parts_times_weight_and_slope(table):
    blend = LEARNERS["blend"]({"parts": PARTS, "num_folds": 3}).fit(table)
    told = [part.contributions(table) for part in blend.parts_]
    values = blend.contributions(table)
    assert list(values.columns) == COLUMNS
    for name in COLUMNS:
        by_hand = sum(
            mix * slope * part[name] for mix, slope, part in zip(blend.mix_, blend.slopes_, told, strict=True)
        )
        np.testing.assert_allclose(values[name], by_hand, atol=1e-12)
    assert not np.allclose(blend.slopes_, 1.0)


@pytest.mark.parametrize("combination", ["convex", "additive"])
def test_contributions_of_two_rows_differ_as_their_log_odds_do(table, combination):
    blend = LEARNERS["blend"]({"parts": PARTS, "num_folds": 3, "combination": combination}).fit(table)
    total, logits = blend.contributions(table).sum(axis=1), blend.predict_logits(table)
    np.testing.assert_allclose(total - total[0], logits - logits[0], atol=1e-4)


def test_part_without_contributions_is_asked_by_occlusion_and_no_other(table, monkeypatch, tmp_path):
    blend = LEARNERS["blend"]({"parts": PARTS[:2], "use_equal_weights": True, "use_part_maps": False}).fit(table)
    expected = 0.5 * blend.parts_[1].contributions(table)[COLUMNS].to_numpy()
    typical = typical_values(table.inputs, table.schema)
    expected += 0.5 * occlusion_contributions(blend.parts_[0], table, typical)[COLUMNS].to_numpy()

    def refuse(*_):
        raise NotImplementedError

    monkeypatch.setattr(LogisticRegression, "contributions", refuse)
    np.testing.assert_allclose(blend.contributions(table)[COLUMNS], expected, atol=1e-12)
    save_learner(blend, tmp_path / "blend")
    np.testing.assert_array_equal(load_learner(tmp_path / "blend").contributions(table), blend.contributions(table))
    parts_fitted_elsewhere = Blend.of_fitted(blend.parts_, blend.mix_)
    with pytest.raises(NotImplementedError):
        parts_fitted_elsewhere.contributions(table)


def test_blend_of_fitted_wrappers_tells_of_the_columns_of_the_schema_only(table):
    source = make_table(200, seed=3, domain="source")
    both = concatenate([source, table])
    inner = {"learner": "blend", "options": {"parts": PARTS, "use_equal_weights": True, "use_part_maps": False}}
    parts = [
        LEARNERS["blend"]({**inner["options"]}).fit(source),
        LEARNERS["domain_tagged"]({**inner, "target_domain": "target"}).fit(both),
        LEARNERS["score_stacked"]({**inner, "target_domain": "target"}).fit(both),
    ]
    blend = Blend.of_fitted(parts, np.array([0.2, 0.3, 0.5]), slopes=np.array([0.5, 1.0, 1.2]))
    values, logits = blend.contributions(table), blend.predict_logits(table)
    assert list(values.columns) == COLUMNS
    assert np.isfinite(values.to_numpy()).all()
    assert np.corrcoef(values.sum(axis=1), logits)[0, 1] > 0.98
    tagged = parts[1].contributions(table)
    assert set(tagged.columns) == set(COLUMNS)  # where the row is from is no property of the row
    assert np.corrcoef(tagged.sum(axis=1), parts[1].predict_logits(table))[0, 1] > 0.98
