"""Did transfer help a predicted number, at which label budget, by more than chance; and for whom is it right?"""

from __future__ import annotations

from apps.page import Page
from apps.page_head import show_head
from apps.value_ledger import show_value_ledger
from apps.value_slices import show_value_slices


def show(page: Page) -> None:
    """The ledger first, then groups of test rows."""
    train = page.run.read_json("train", "train_metrics.json")
    metrics = page.run.read_json("evaluate", "metrics.json")
    ledger = page.run.read_json("compare", "ledger_metrics.json")
    sources = ", ".join(ledger["source_domains"]) or "–"
    show_head(page, baseline=ledger["baseline"], count=f"{ledger['num_test_rows']:,}", sources=sources)
    show_value_ledger(page, train, ledger)
    show_value_slices(page, metrics["unit"])
