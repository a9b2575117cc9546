"""What labellers agree on, handed over to the domain's folder: the new labels alone, whole or not at all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.domain import DomainSpec, read_domain_spec
from core.data.labels import label_word
from core.data.late_labels import LateBatch, add_late_labels, label_words_of, late_batch_names, late_labels_without
from core.data.sample_ids import domain_label_texts
from core.errors import BadInputError
from core.lifecycle.audit_chain import append_audit, utc_now
from core.lifecycle.label_records import select_current
from core.lifecycle.store import Store
from core.lifecycle.tables import BATCHES, sa


@dataclass(frozen=True)
class Delivery:
    """What became of the labels. batch: None where nothing was new. disputed: samples left out, a column a labeller.

    num_taken_back: labels of earlier batches that nobody holds to any more.
    """

    batch: LateBatch | None
    num_new: int
    num_taken_back: int
    disputed: pd.DataFrame

    def __str__(self) -> str:
        left_out = f" {len(self.disputed):,} samples are left out: labellers differ." if len(self.disputed) else ""
        if self.batch is None:
            return f"No new label since the last batch; nothing was written.{left_out}"
        back = f", {self.num_taken_back:,} taken back" if self.num_taken_back else ""
        return f"Batch '{self.batch.name}': {self.num_new:,} new labels{back}.{left_out}"


def deliver_labels(store: Store, folder: Path, *, vertical: str, batch: str, who: str, role: str) -> Delivery:
    """See `labelling.labels_to_batch`; the file, the batch's row and the audit's row come together or not at all."""
    spec = read_domain_spec(folder)
    added: LateBatch | None = None
    try:
        with store.writing() as connection:
            agreed, disputed = agreed_labels(select_current(connection, vertical, folder.name, None))
            own_batches = _own_batches(connection, vertical, folder.name)
            _refuse_known_name(batch, own_batches)
            present = set(late_batch_names(folder))  # an older version of the data may lack some
            known = {k: v for name, told in own_batches.items() if name in present for k, v in told.items()}
            new = agreed[agreed.apply(_is_news, axis=1, known=known).astype(bool)] if len(agreed) else agreed
            back = _taken_back(known, agreed, disputed, folder, spec, own_batches)
            table = pd.concat([new, back.assign(labelled_by=who, labelled_at=utc_now())], ignore_index=True)
            if len(table):
                row = {"at": utc_now(), "who": who, "vertical": vertical, "domain": folder.name, "batch": batch}
                told = dict(zip(new["sample_id"], new["label"], strict=True)) | dict.fromkeys(back["sample_id"], "")
                connection.execute(sa.insert(BATCHES).values(**row, delivered=told))
                details = {"domain": folder.name, "labels": len(new), "taken_back": len(back)}
                details["disputed"] = disputed["sample_id"].tolist()
                append_audit(
                    connection,
                    who=who,
                    role=role,
                    action="make_batch",
                    vertical=vertical,
                    subject=batch,
                    details=details,
                )
                added = add_late_labels(folder, table, batch)
    except BaseException:
        if added is not None:
            added.path.unlink(missing_ok=True)
        raise
    return Delivery(added, len(new), len(back), disputed)


def agreed_labels(labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(samples without two opinions, samples on which labellers differ).

    labels: one row a labeller and sample, as `Store.current_labels` gives them. The first table has sample_id, label,
    labelled_by and labelled_at, the second sample_id and a column of labels for each labeller.
    """
    words = labels.assign(word=labels["label"].map(label_word))
    is_disputed = words.groupby("sample_id")["word"].transform("nunique") > 1
    by_sample = labels[~is_disputed].groupby("sample_id", sort=True)
    agreed = by_sample.agg(label=("label", "first"), labelled_by=("who", ", ".join), labelled_at=("at", "max"))
    agreed = agreed.rename_axis("sample_id").reset_index()
    rest = labels[is_disputed]
    columns = {name: part.set_index("sample_id")["label"] for name, part in rest.groupby("who", sort=True)}
    disputed = pd.DataFrame(columns, dtype=object).sort_index().rename_axis("sample_id").reset_index()
    return agreed, disputed


def _is_news(row: pd.Series, known: dict[str, str]) -> bool:
    """Whether the earlier batches told nothing or another label of the sample."""
    before = known.get(row["sample_id"], "")
    return before == "" or label_word(before) != label_word(row["label"])


def _own_batches(connection: sa.Connection, vertical: str, domain: str) -> dict[str, dict[str, str]]:
    """The batches that the store delivered, in order: name -> sample id -> label, empty = taken back."""
    chosen = sa.select(BATCHES.c.batch, BATCHES.c.delivered).where(
        BATCHES.c.vertical == vertical, BATCHES.c.domain == domain
    )
    return {name: told for name, told in connection.execute(chosen.order_by(BATCHES.c.id))}


def _refuse_known_name(batch: str, own_batches: Collection[str]) -> None:
    if batch in own_batches:
        raise BadInputError(f"A batch '{batch}' was made already.", repair="Name the new one otherwise.")


def _taken_back(
    known: dict[str, str],
    agreed: pd.DataFrame,
    disputed: pd.DataFrame,
    folder: Path,
    spec: DomainSpec,
    own_batches: Collection[str],
) -> pd.DataFrame:
    """sample_id of what was delivered and has no labeller any more, and the label that it had without the store."""
    still = {*agreed["sample_id"], *disputed["sample_id"]}
    gone = sorted(name for name, label in known.items() if label != "" and name not in still)
    if not gone:
        return pd.DataFrame({"sample_id": [], "label": []}, dtype=object)
    of_rows = domain_label_texts(folder, spec).reindex(gone)
    words = label_words_of(spec)
    before = {name: words.get(label_word(text), "") for name, text in of_rows.items()}
    others = late_labels_without(folder, own_batches).set_index("sample_id")["label"]
    before |= others.reindex(gone).dropna().to_dict()
    return pd.DataFrame({"sample_id": gone, "label": [before[name] for name in gone]}, dtype=object)
