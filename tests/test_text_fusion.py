import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.metrics import roc_auc_score
from tiny_text_backbone import random_texts, text_samples, write_tiny_backbone

from core.errors import BadInputError, BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.additive_stacking import fit_stacking, stacking_loss
from core.learners.masked_language_model import continue_pretraining
from core.learners.text_embeddings import TextEmbedder
from core.learners.text_reduction import TextReduction


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_backbone(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))


def fusion(backbone, **options):
    text = {"backbone": backbone, "max_length": 16, "num_folds": 3}
    table = {"table_learner": "logistic_regression", "num_components": 8}
    return LEARNERS["text_fusion"]({"text": text, **table, **options}, seed=0)


@pytest.mark.parametrize("way", ["table_only", "text_only", "stacking", "embeddings"])
@pytest.mark.parametrize("table_learner", ["logistic_regression", "boosted_trees"])
def test_fusion_saved_and_loaded_gives_equal_probabilities_and_reasons(tiny, tmp_path, way, table_learner):
    table_options = {"num_rounds": 20} if table_learner == "boosted_trees" else {}
    samples = text_samples(120)
    learner = fusion(tiny, ways=[way], table_learner=table_learner, table_options=table_options).fit(samples)
    expected = learner.predict_probability(samples)
    assert len(np.unique(expected.round(6))) > 20
    save_learner(learner, tmp_path / "saved")
    loaded = load_learner(tmp_path / "saved")
    np.testing.assert_allclose(loaded.predict_probability(samples), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.contributions(samples), learner.contributions(samples), atol=1e-5)


@pytest.mark.parametrize("way", ["text_only", "stacking", "embeddings"])
def test_fusion_contributions_differ_from_the_log_odds_by_a_constant(tiny, way):
    samples = text_samples(120)
    learner = fusion(tiny, ways=[way]).fit(samples)
    values = learner.contributions(samples)
    assert set(values) <= {"amount", "purpose", "description"}
    assert "description" in values
    gap = learner.predict_logits(samples) - values.sum(axis=1).to_numpy()
    np.testing.assert_allclose(gap, gap[0], atol=1e-6)


def test_fusion_of_two_useful_parts_beats_both_out_of_fold_and_on_new_rows(tiny):
    train, test = text_samples(400, seed=1), text_samples(300, seed=2)
    learner = fusion(tiny).fit(train)
    losses = {row["way"]: row["out_of_fold_log_loss"] for row in learner.selection_}
    assert learner.way_ in {"stacking", "embeddings"}
    assert losses[learner.way_] == min(losses.values())

    def auc(model):
        return roc_auc_score(test.targets, model.predict_logits(test))

    assert auc(learner) > max(auc(fusion(tiny, ways=[way]).fit(train)) for way in ("table_only", "text_only"))


def test_fusion_of_texts_that_tell_nothing_leaves_them_out(tiny):
    samples = text_samples(300, text_effect=0.0, number_effect=3.0)
    learner = fusion(tiny, ways=["table_only", "text_only", "stacking"]).fit(samples)
    table = fusion(tiny, ways=["table_only"]).fit(samples)
    losses = {row["way"]: row["out_of_fold_log_loss"] for row in learner.selection_}
    assert losses["text_only"] > losses["table_only"] + 0.05
    assert np.corrcoef(learner.predict_logits(samples), table.predict_logits(samples))[0, 1] > 0.98


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_fusion_worse_than_its_better_part_on_validation_falls_back(tiny, metric):
    train = text_samples(300, seed=1)
    valid = text_samples(200, seed=2, text_effect=-3.0)  # here the texts say the opposite
    learner = fusion(tiny, guard_metric=metric).fit(train, valid)
    (used,) = [row for row in learner.selection_ if row["is_used"]]
    (best,) = [row for row in learner.selection_ if row["is_best_out_of_fold"]]
    assert learner.way_ == used["way"] == "table_only"
    assert best["way"] in {"stacking", "embeddings"}
    sign = 1 if metric == "auc" else -1
    assert sign * used[f"valid_{metric}"] > sign * best[f"valid_{metric}"]
    assert set(learner.parts_) == {"table"}


def test_fusion_guard_keeps_what_is_no_worse(tiny):
    learner = fusion(tiny).fit(text_samples(300, seed=1), text_samples(300, seed=2))
    judged = {row["way"]: row["valid_auc"] for row in learner.selection_ if row["valid_auc"] is not None}
    assert judged[learner.way_] == max(judged.values())
    assert learner.way_ in {"stacking", "embeddings"}


def test_fusion_without_text_columns_is_the_table_part(tiny):
    samples = text_samples(80)
    bare = samples.with_inputs(samples.inputs, samples.schema.without(["description"]))
    assert fusion(tiny).fit(bare).way_ == "table_only"


def test_fusion_with_too_few_labels_for_folds_still_fits(tiny):
    samples = text_samples(30)
    one_positive = np.flatnonzero(samples.labels == 1)[:1]
    some_negative = np.flatnonzero(samples.labels == 0)[:5]
    learner = fusion(tiny).fit(samples.take(np.concatenate([one_positive, some_negative])))
    assert learner.way_ == "table_only"


def test_fusion_of_a_row_sentence_is_refused(tiny):
    with pytest.raises(BadParamsError, match="repeats the table"):
        fusion(tiny, text={"backbone": tiny, "input": "row_sentence"})


def test_stacking_loss_gradient_is_its_derivative():
    generator = np.random.default_rng(0)
    scores, targets = generator.normal(size=(30, 2)), generator.integers(0, 2, 30)
    told = (scores, targets, generator.random(30))
    error = check_grad(
        lambda b: stacking_loss(b, *told)[0], lambda b: stacking_loss(b, *told)[1], np.array([0.2, 0.7, 0.3])
    )
    assert error < 1e-4


def test_stacking_recovers_the_weights_that_made_the_labels():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(40_000, 2))
    logits = -0.5 + 1.5 * scores[:, 0] + 0.4 * scores[:, 1]
    targets = (generator.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(int)
    np.testing.assert_allclose(fit_stacking(scores, targets, np.ones(len(targets))), [-0.5, 1.5, 0.4], atol=0.06)


def test_stacking_gives_a_misleading_score_no_weight():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(2000, 2))
    targets = (scores[:, 0] - 2 * scores[:, 1] > 0).astype(int)
    assert fit_stacking(scores, targets, np.ones(2000))[2] == 0.0


def test_reduction_equals_principal_components_by_svd_and_is_nan_without_text(tiny):
    from core.backbones.weights import resolve_weights

    samples = text_samples(60)
    embedder = TextEmbedder(resolve_weights(tiny), max_length=16)
    wide = TextReduction.fit(embedder, ["description"], samples, num_components=3).widen(samples)
    columns = ["_text_1", "_text_2", "_text_3"]
    assert wide.schema.names()[-3:] == columns
    has_text = samples.inputs["description"].notna().to_numpy()
    assert wide.inputs.loc[~has_text, columns].isna().all(axis=None)
    embeddings = embedder.embed(list(samples.inputs.loc[has_text, "description"])).astype(float)
    centred = embeddings - embeddings.mean(axis=0)
    expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:3].T
    np.testing.assert_allclose(np.abs(wide.inputs.loc[has_text, columns]), np.abs(expected), atol=1e-6)
    assert "_text_1" not in samples.inputs


PRETRAINING = {
    "max_length": 16,
    "valid_fraction": 0.2,
    "training": {"epochs": 12, "batch_size": 16, "learning_rate": 0.02, "patience": 0},
}


def patterned_texts(num_texts=100):
    """Every second word follows from the one before it, so that a hidden word can be guessed."""
    follows = {"loan": "car", "house": "debt", "card": "bill", "rate": "pay", "job": "late"}
    generator = np.random.default_rng(0)
    starts = generator.choice(list(follows), (num_texts, 4))
    return [" ".join(f"{word} {follows[word]}" for word in row) for row in starts]


def test_pretraining_lowers_the_held_out_loss_and_moves_the_encoder(tiny, tmp_path):
    from core.backbones.text import TextBackbone
    from core.backbones.weights import resolve_weights

    report = continue_pretraining(patterned_texts(), tiny, tmp_path / "further", PRETRAINING, seed=1)
    assert report["loss_after"] < report["loss_head_only"] < report["loss_before"]
    before, after = (
        TextBackbone.load(resolve_weights(str(folder)), max_length=16).features(["loan car house"])
        for folder in (tiny, tmp_path / "further")
    )
    assert not np.allclose(before, after)
    assert {path.suffix for path in (tmp_path / "further").iterdir()} == {".json", ".safetensors"}
    assert not (tmp_path / "further.checkpoints").exists()
    learner = LEARNERS["text_encoder"]({"pretrained_folder": str(tmp_path / "further"), "max_length": 16})
    samples = text_samples(60)
    save_learner(learner.fit(samples), tmp_path / "saved")
    np.testing.assert_allclose(
        load_learner(tmp_path / "saved").predict_logits(samples), learner.predict_logits(samples), atol=1e-6
    )


def test_pretraining_killed_and_resumed_gives_the_same_weights(tiny, tmp_path):
    class KilledError(Exception):
        pass

    def kill(row):
        if row["epoch"] == 1:
            raise KilledError

    options = {**PRETRAINING, "training": {**PRETRAINING["training"], "epochs": 3}}
    continue_pretraining(patterned_texts(), tiny, tmp_path / "whole", options)
    with pytest.raises(KilledError):
        continue_pretraining(patterned_texts(), tiny, tmp_path / "broken", options, on_epoch=kill)
    assert not (tmp_path / "broken").exists()
    seen = []
    continue_pretraining(
        patterned_texts(), tiny, tmp_path / "broken", options, on_epoch=lambda row: seen.append(row["epoch"])
    )
    assert seen == [2]
    whole, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken


def test_pretraining_without_texts_is_refused(tiny, tmp_path):
    with pytest.raises(BadInputError, match="0 distinct"):
        continue_pretraining(["", "  "], tiny, tmp_path / "further")


def test_mask_tokens_hides_the_fractions_of_the_paper():
    import torch

    from core.learners.masked_language_head import IGNORED, mask_tokens

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 1000, (400, 500), generator=generator)
    is_fixed = torch.zeros_like(ids, dtype=torch.bool)
    is_fixed[:, :100] = True
    hidden, labels = mask_tokens(
        ids, is_fixed, mask_id=4, vocabulary_size=1000, mask_fraction=0.15, generator=generator
    )
    chosen = labels != IGNORED
    assert not chosen[:, :100].any()
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(hidden[~chosen], ids[~chosen])
    fractions = [
        chosen[:, 100:].float().mean(),
        (hidden[chosen] == 4).float().mean(),
        (hidden[chosen] == ids[chosen]).float().mean(),
        ((hidden[chosen] != 4) & (hidden[chosen] != ids[chosen])).float().mean(),
    ]
    np.testing.assert_allclose([float(f) for f in fractions], [0.15, 0.8, 0.1, 0.1], atol=0.01)


def test_masked_language_model_decodes_with_the_word_embeddings(tiny):
    import torch

    from core.backbones.text import TextBackbone
    from core.backbones.weights import resolve_weights
    from core.learners.masked_language_head import MaskedLanguageModel

    model = MaskedLanguageModel(TextBackbone.load(resolve_weights(tiny), max_length=16)).eval()
    ids, mask = model.backbone.pad(model.backbone.tokenize(random_texts(3)))
    guessed = torch.zeros_like(ids, dtype=torch.bool)
    guessed[1, 2] = guessed[2, 3] = True
    words = model.backbone.encoder.embeddings.word_embeddings.weight
    states = model.backbone.hidden(ids, mask)
    for row, place in enumerate([(1, 2), (2, 3)]):
        inner = model.head.norm(torch.nn.functional.gelu(model.head.dense(states[place])))
        expected = torch.stack([(inner * word).sum() for word in words]) + model.head.bias
        torch.testing.assert_close(model(ids, mask, guessed)[row], expected)
    assert sum(parameter is words for parameter in model.parameters()) == 1
