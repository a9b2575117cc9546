"""A one-layer random BERT with a word tokenizer, and a small two-class table with texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema

WORDS = ("loan", "car", "house", "debt", "card", "bill", "rate", "pay", "job", "late", "good", "bad", "safe", "risk")
WORDS += ("trip", "boat", "school", "roof", "medical", "wedding")


def write_tiny_backbone(folder, *, seed=0, num_layers=1):
    """Save the model to `folder` and return its path as text."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=num_layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)
    return str(folder)


def random_texts(num_rows, *, seed=0, num_words=5):
    """Texts of words drawn at random."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, num_words)) for _ in range(num_rows)]


def text_samples(num_rows=120, *, seed=0, text_effect=3.0, number_effect=1.0, missing_fraction=0.2):
    """Rows whose label depends on a number and on whether the text says `late` or `safe`."""
    generator = np.random.default_rng(seed)
    texts = np.array(random_texts(num_rows, seed=seed), dtype=object)
    sign = generator.choice([-1, 1], num_rows)
    texts = np.array(
        [f"{text} {'late bad' if s > 0 else 'safe good'}" for text, s in zip(texts, sign, strict=True)], dtype=object
    )
    texts[generator.random(num_rows) < missing_fraction] = None
    has_text = np.array([text is not None for text in texts])
    amount = generator.normal(1000, 300, num_rows)
    logits = text_effect * sign * has_text + number_effect * (amount - 1000) / 300
    labels = (generator.random(num_rows) < 1 / (1 + np.exp(-logits))).astype(float)
    frame = pd.DataFrame(
        {
            "amount": amount,
            "purpose": generator.choice(["car", "house"], num_rows).astype(object),
            "description": texts,
        }
    )
    schema = TableSchema(
        (
            Feature("amount", "number", meaning="Loan amount", unit="DM"),
            Feature("purpose", "category", categories=("car", "house"), meaning="Purpose"),
            Feature("description", "text", meaning="Description"),
        )
    )
    identifiers = np.array([f"demo/{row}" for row in range(num_rows)], dtype=object)
    return Samples(
        inputs=frame,
        labels=labels,
        sample_ids=identifiers,
        domains=np.array(["demo"] * num_rows, dtype=object),
        weights=np.ones(num_rows),
        groups=identifiers,
        schema=schema,
    )
