"""Credit risk: will a borrower default? Tables with text, from one lender to another."""

from core.vertical import Vertical, later
from verticals.credit_risk.dataset import open_dataset, read_domain
from verticals.credit_risk.domains import DEMO_DOMAINS, fetch
from verticals.credit_risk.importing import import_domain
from verticals.credit_risk.options import CreditOptions
from verticals.credit_risk.protocols import PROTOCOLS

VERTICAL = Vertical(
    name="credit_risk",
    title="Credit risk",
    task="binary",
    modality="table",
    classes=("good", "bad"),
    positive_class="bad",
    metrics=("auc", "gini", "ks", "pr_auc", "brier", "log_loss", "ece"),
    source_domains=("credit_data", "lending_club", "hmda"),
    target_domain="german_credit",
    demo_domains=DEMO_DOMAINS,
    read_domain=read_domain,
    open_dataset=open_dataset,
    fetch=fetch,
    import_domain=import_domain,
    options_type=CreditOptions,
    report_sections=later("verticals.credit_risk.report", "report_sections"),
    predict=later("verticals.credit_risk.predict", "predict_file"),
    open_scorer=later("verticals.credit_risk.scoring", "open_scorer"),
    protocols=PROTOCOLS,
)
