"""Defect detection: is this part defective, and where? Pictures, from one production line to another."""

from core.vertical import Vertical, later
from verticals.defect_detection.dataset import open_dataset, read_domain
from verticals.defect_detection.domains import DEMO_DOMAINS, fetch
from verticals.defect_detection.importing import import_domain
from verticals.defect_detection.options import DefectOptions
from verticals.defect_detection.protocols import PROTOCOLS

VERTICAL = Vertical(
    name="defect_detection",
    title="Defect detection",
    task="binary",
    modality="image",
    classes=("good", "defective"),
    positive_class="defective",
    metrics=(
        "auc", "accuracy", "f1", "macro_f1", "recall_at_5_percent_false_alarms", "pr_auc", "brier", "log_loss", "ece",
    ),
    source_domains=("elpv_mono",),
    target_domain="elpv_poly",
    demo_domains=DEMO_DOMAINS,
    read_domain=read_domain,
    open_dataset=open_dataset,
    fetch=fetch,
    import_domain=import_domain,
    options_type=DefectOptions,
    report_sections=later("verticals.defect_detection.report", "report_sections"),
    evaluate_more=later("verticals.defect_detection.evaluation", "evaluate_more"),
    export=later("core.pictures.onnx_files", "export_model"),
    predict=later("core.pictures.predicting", "predict_files"),
    open_scorer=later("core.pictures.scorer", "open_scorer"),
    protocols=PROTOCOLS,
)  # fmt: skip
