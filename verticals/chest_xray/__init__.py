"""Chest radiographs: does this picture show disease, and where? From one hospital to another."""

from core.vertical import Vertical, later
from verticals.chest_xray.dataset import open_dataset, read_domain
from verticals.chest_xray.domains import DEMO_DOMAINS, fetch
from verticals.chest_xray.options import ChestOptions
from verticals.chest_xray.protocols import PROTOCOLS

VERTICAL = Vertical(
    name="chest_xray",
    title="Chest radiographs",
    task="binary",
    modality="image",
    classes=("normal", "disease"),
    positive_class="disease",
    metrics=(
        "auc", "accuracy", "f1", "macro_f1", "recall_at_5_percent_false_alarms", "pr_auc", "brier", "log_loss", "ece",
    ),
    source_domains=("demo_children",),
    target_domain="demo_adults",
    demo_domains=DEMO_DOMAINS,
    read_domain=read_domain,
    open_dataset=open_dataset,
    fetch=fetch,
    import_domain=later("verticals.chest_xray.importing", "import_domain"),
    options_type=ChestOptions,
    report_sections=later("verticals.chest_xray.report", "report_sections"),
    evaluate_more=later("verticals.chest_xray.evaluation", "evaluate_more"),
    export=later("verticals.chest_xray.export", "export"),
    predict=later("verticals.chest_xray.predict", "predict"),
    open_scorer=later("verticals.chest_xray.predict", "open_scorer"),
    protocols=PROTOCOLS,
)  # fmt: skip
