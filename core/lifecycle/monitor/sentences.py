"""A month's report in sentences for the person who reads the mail."""

from __future__ import annotations

from core.evaluation.intervals import Interval
from core.lifecycle.monitor.report import MonitorReport, MonitorTest

KIND_WORDS = {
    "input": "Inputs",
    "embedding": "Embeddings",
    "prediction": "Predictions",
    "calibration": "Calibration",
    "performance": "Performance",
}
MAX_NAMED = 5


def summary_sentences(report: MonitorReport) -> tuple[str, ...]:
    """What was tested, what alarms and by how much, how good the champion is likely to be, what can't be told."""
    sentences = [f"{problem}" for problem in report.problems]
    if report.tests:
        sentences.append(
            f"{len(report.alarms)} of {len(report.tests)} tests alarm on {report.num_rows:,} rows of "
            f"{report.num_groups:,} groups; without drift a month alarms at most {report.family_error_rate:.0%} of the "
            "time."
        )
    for kind, word in KIND_WORDS.items():
        alarms = [test for test in report.alarms if test.kind == kind]
        if alarms:
            named = "; ".join(_told(test) for test in alarms[:MAX_NAMED])
            more = f"; and {len(alarms) - MAX_NAMED} more" if len(alarms) > MAX_NAMED else ""
            sentences.append(f"{word}: {named}{more}.")
    sentences.append(_performance_sentence(report))
    if report.outliers.share > 0:
        worst = ", ".join(list(report.outliers.columns)[:3]) or "embedding"
        sentences.append(f"{report.outliers.share:.1%} of the rows lie outside of what the reference holds ({worst}).")
    if report.outliers.vanished:
        sentences.append(f"No value at all in: {', '.join(report.outliers.vanished)}.")
    return tuple(sentences)


def _told(test: MonitorTest) -> str:
    return f"{test.name} ({test.effect_name} {test.effect:.3g}, adjusted p {test.p_adjusted:.2g})"


def _performance_sentence(report: MonitorReport) -> str:
    """The AUC as estimated, and as observed where labels tell."""
    performance = report.performance
    told = f"AUC as the probabilities promise: {_interval(performance.estimated.auc)}"
    told += f", of the reference {performance.reference_estimated.auc.value:.3f}"
    if performance.observed is None:
        return told + "; it holds only if the probabilities are still calibrated, which labels would show."
    return (
        told + f"; observed on {performance.observed.num_rows:,} labelled rows: {_interval(performance.observed.auc)}."
    )


def _interval(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
