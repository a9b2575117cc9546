"""What a text encoder reads of a row: its free texts, or the row told as a sentence."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.binary_table import require_columns
from core.learners.row_sentences import row_sentences

TextInput = Literal["text", "row_sentence"]


def text_columns(samples: Samples) -> list[str]:
    """Names of the free-text features.

    Raises:
        BadParamsError: there is none.
    """
    names = samples.schema.names("text")
    if not names:
        raise BadParamsError(
            "This domain has no free-text feature to read.",
            repair="Set `kind: text` in domain.yaml, or learner_options.input to 'row_sentence'.",
        )
    return names


def texts_of(samples: Samples, what: TextInput, names: list[str]) -> list[str]:
    """One text a row; "" where there is nothing to read. Several free texts are joined by a blank line.

    Raises:
        BadInputError: a text column is missing.
    """
    if what == "row_sentence":
        require_columns(samples, samples.schema.names())
        return row_sentences(samples.inputs, samples.schema)
    require_columns(samples, names)
    columns = [samples.inputs[name] for name in names]
    return [
        "\n\n".join(str(value).strip() for value in row if not pd.isna(value) and str(value).strip())
        for row in zip(*columns, strict=True)
    ]
