"""Whether `crossdomain retrain` survives SIGKILL at any moment: champion, data and registry are looked at after each.

    python tests/benchmarks/retrain_kills.py --kills 100 --output verticals/credit_risk/results/retrain_kills.json

A small lender gets a file a month. Every run is a real process with real DVC, a remote and a git commit, killed after a
random time - the process alone, as the OOM killer does, or its whole group - and started again by the same command, at
most six times a month. Short steps are aimed at besides. A twin gets the same months and is never killed. Linux.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from killed_lender import (  # noqa: E402
    Before,
    Start,
    all_batches,
    data_bytes,
    held_names,
    is_poisoned,
    left_over,
    make,
    problems_of,
    scores,
    versions_of,
    write_delivery,
    wrong_scores,
)
from killing import RANDOM, Kill, Killer  # noqa: E402
from monthly_lender import ROWS_A_MONTH, VERTICAL  # noqa: E402

from core.artifacts import write_json  # noqa: E402
from core.data.domain_folder import batch_names  # noqa: E402
from core.lifecycle.registry import read_stages  # noqa: E402
from core.lifecycle.retrain.journal import Journal  # noqa: E402
from core.lifecycle.retrain.journal_facts import STEPS  # noqa: E402
from core.lifecycle.retrain.loop import EXIT_CODES  # noqa: E402

MAX_RANDOM_A_MONTH, MAX_ENDS_A_MONTH = 6, 3
AIMED_BEFORE = ("take_in", "rows file")  # before a month's random kills, one a month in turn
AIMED_AFTER = ("dvc.lock", "set_aside", "register", "push", "decide", "commit", "tell")  # after them, three a month
FIRST_MONTH = 6


class Campaign(Killer):
    """Months of kills beside a twin that is never killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(make(folder / "lender"), np.random.default_rng(seed))
        self.folder, self.twin = folder, make(folder / "twin")
        self.outcomes: list[str] = []
        self.twin_outcomes: list[str] = []
        started = time.monotonic()
        self.first_codes = [self.lender.retrain().end(), self.twin.retrain().end()]
        self.run_seconds = (time.monotonic() - started) / 2
        self.usual = self.seconds_of(self.twin.journals()[-1])
        self.tell(f"first runs: exit {self.first_codes}, {self.run_seconds:.0f} s each")

    def num_random(self) -> int:
        return sum(kill.aim == RANDOM for kill in self.kills)

    def month(self, month: int, wanted: int) -> bool:
        """One delivery: kills, until `wanted` random ones are done, its end and the twin's; whether it ended."""
        delivery = write_delivery(self.folder, month)
        before = Before.of(self.lender)
        code, twin = None, self.twin.retrain(delivery)  # beside it, for there are two cores
        for aim in self.aims(month, wanted):
            if self.is_done(aim, delivery):
                continue
            code = self.start_and_kill(delivery, before, aim)
            if code is not None or self.lender.is_over(delivery.stem):
                break
        ends = 0
        while code is None and not self.lender.is_over(delivery.stem) and ends < MAX_ENDS_A_MONTH:
            start = self.lender.retrain(delivery)
            code, ends = start.end(), ends + 1
            if code not in EXIT_CODES.values():
                self.fail(f"{delivery.stem}, exit {code}", [start.said[-3000:]])
                code = None
        self.check_month(delivery, before, code)
        self.end_twin(delivery, twin)
        return self.lender.is_over(delivery.stem)

    def aims(self, month: int, wanted: int) -> Iterator[str]:
        """What to kill at, in turn; of the rarest hit first."""
        if self.num_random() >= wanted:
            return
        yield AIMED_BEFORE[month % len(AIMED_BEFORE)]
        for _ in range(MAX_RANDOM_A_MONTH):
            if self.num_random() < wanted:
                yield RANDOM
        never = ("register", "push") if is_poisoned(month) else ("set_aside",)
        tried = Counter(kill.aim for kill in self.kills) + self.missed
        rarest = sorted((aim for aim in AIMED_AFTER if aim not in never), key=lambda aim: tried[aim])[:3]
        yield from sorted(rarest, key=AIMED_AFTER.index)

    def check_month(self, delivery: Path, before: Before, code: int | None) -> None:
        """What has to hold when a month is over."""
        problems = problems_of(self.lender, before, delivery.stem, wrong_scores)
        runs = [one for one in self.lender.journals() if (one.values["batch"] or {}).get("name") == delivery.stem]
        outcomes = [run.outcome for run in runs]
        if len(outcomes) != 1 or outcomes[0] not in EXIT_CODES:
            problems.append(f"the runs of {delivery.stem} ended {outcomes}")
        elif code is not None and EXIT_CODES[outcomes[0]] != code:
            problems.append(f"{outcomes[0]} ended with exit code {code}")
        if all_batches(self.lender).count(delivery.stem) != 1:
            problems.append(f"{delivery.stem} is not in exactly once: {all_batches(self.lender)}")
        changes = [change.version for change in read_stages(self.lender.root, VERTICAL).changes]
        if len(set(changes)) != len(changes):
            problems.append(f"promoted twice: {changes}")
        self.outcomes += outcomes
        self.fail(f"end of {delivery.stem}", problems)

    def end_twin(self, delivery: Path, start: Start) -> None:
        """The same delivery, not killed."""
        code = start.end()
        if code not in EXIT_CODES.values():
            self.fail(f"twin, {delivery.stem}, exit {code}", [start.said[-3000:]])
            return
        journal = self.twin.journals()[-1]
        self.usual |= self.seconds_of(journal)
        self.twin_outcomes.append(journal.outcome)
        self.tell(f"{delivery.stem}: {self.outcomes[-1:]}, twin {journal.outcome}")

    @staticmethod
    def seconds_of(journal: Journal) -> dict[str, float]:
        return {step: told["seconds"] for step, told in journal.values["steps"].items()}

    def result(self) -> dict:
        """As far as it is done."""
        return {
            "title": "crossdomain retrain killed at random and at every step: what is half-changed afterwards",
            "command": f"python tests/benchmarks/retrain_kills.py --kills {self.num_random()}",
            "rows_a_month": ROWS_A_MONTH,
            "months": len(self.outcomes),
            "run_seconds": round(self.run_seconds, 1),
            "random_kills": self.counts([kill for kill in self.kills if kill.aim == RANDOM]),
            "aimed_kills": self.counts([kill for kill in self.kills if kill.aim != RANDOM]),
            "aims": dict(sorted(Counter(kill.aim for kill in self.kills if kill.aim != RANDOM).items())),
            "slowest_orphan_seconds": max((kill.orphan_seconds for kill in self.kills), default=0.0),
            "failures": len(self.failures),
            "failure_details": self.failures,
            "outcomes": dict(Counter(self.outcomes)),
            "seconds": round(time.monotonic() - self.began),
        }

    @staticmethod
    def counts(kills: list[Kill]) -> dict:
        steps = ("start", *STEPS, "end")
        told = {step: Counter(kill.kind for kill in kills if kill.step == step) for step in steps}
        return {
            "all": len(kills),
            "by_kind": dict(sorted(Counter(kill.kind for kill in kills).items())),
            "by_step": {step: dict(sorted(kinds.items())) for step, kinds in told.items() if kinds},
            "by_pipeline_stage": dict(sorted(Counter(kill.stage for kill in kills if kill.stage).items())),
        }

    def compare(self) -> dict:
        """The killed lender with its twin, whose months are the same."""
        ours, twins = self.lender, self.twin
        difference = np.abs(scores(ours, 50) - scores(twins, 50)).max()
        names = [[version.version for version in versions_of(one)] for one in (ours, twins)]
        told = {
            "months": len(self.twin_outcomes),
            "outcomes_equal": self.outcomes == self.twin_outcomes,
            "batches_equal": batch_names(ours.domain) == batch_names(twins.domain),
            "held_equal": held_names(ours) == held_names(twins),
            "data_bytes_equal": data_bytes(ours) == data_bytes(twins),
            "versions_equal": names[0] == names[1],
            "champions": [read_stages(one.root, VERTICAL).champion for one in (ours, twins)],
            "max_difference_of_50_probabilities": float(difference),
        }
        wrong = [name for name, value in told.items() if name.endswith("equal") and not value]
        wrong += ["champions"] if len(set(told["champions"])) > 1 else []
        wrong += [f"probabilities differ by {difference}"] if not difference <= 1e-12 else []
        self.fail("comparison with the twin", wrong)
        return told


def two_at_once(campaign: Campaign, month: int) -> dict:
    """Two starts for one delivery: one runs, the other is refused and says why."""
    lender, delivery = campaign.lender, write_delivery(campaign.folder, month)
    before = Before.of(lender)
    starts = [lender.retrain(delivery, log_name=name) for name in ("log", "other_log")]
    codes = [start.end() for start in starts]
    refused = [start for start, code in zip(starts, codes, strict=True) if code == 2]
    ran = [code for code in codes if code in EXIT_CODES.values()]
    problems = problems_of(lender, before, delivery.stem, wrong_scores)
    if len(refused) != 1 or len(ran) != 1 or "is in use by process" not in refused[0].said:
        problems.append(f"exit codes {codes}: {[start.said[-500:] for start in starts]}")
    if all_batches(lender).count(delivery.stem) != 1 or not lender.is_over(delivery.stem):
        problems.append("the delivery is not in once")
    campaign.fail("two at once", problems)
    message = refused[0].said.strip().splitlines()[-1] if refused else ""
    refusal = re.sub(r"process .*", "process ...", message)
    return {"exit_codes": sorted(codes), "refused": refusal, "is_clean": not problems}


def rollback_seconds(campaign: Campaign) -> dict:
    """The command to the champion before and, by a promotion, back again, five times; the slowest rollback."""
    lender, seconds = campaign.lender, []
    for _ in range(5):
        champion = read_stages(lender.root, VERTICAL).champion
        started = time.monotonic()
        code = lender.start("registry", "rollback", VERTICAL, "--reason", "timing").end()
        seconds.append(time.monotonic() - started)
        is_back = read_stages(lender.root, VERTICAL).champion != champion
        code += lender.start("registry", "promote", VERTICAL, champion, "--reason", "timing").end()
        if code or not is_back or read_stages(lender.root, VERTICAL).champion != champion:
            campaign.fail("rollback", [f"to and fro from {champion}: exit codes {code}, went back {is_back}"])
    return {"largest": round(max(seconds), 2), "smallest": round(min(seconds), 2)}


def run(folder: Path, kills: int, seed: int, output: Path | None = None) -> dict:
    """The whole measurement; written to `output` every ten kills."""
    campaign = Campaign(folder, seed)
    month, written = FIRST_MONTH, 0
    while campaign.num_random() < kills and campaign.month(month, kills):
        month += 1
        if output is not None and campaign.num_random() // 10 > written:
            written = campaign.num_random() // 10
            write_json(output, campaign.result())
    if campaign.num_random() < kills:
        campaign.fail(f"month {month}", ["the run does not end, the rest is not done"])
        return campaign.result()
    told = {
        "comparison_with_a_twin_that_was_not_killed": campaign.compare(),
        "left_over": left_over(campaign.lender),
        "two_at_once": two_at_once(campaign, month + is_poisoned(month)),
        "rollback_seconds": rollback_seconds(campaign),
    }
    return campaign.result() | told


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="at random times; aimed ones come besides (100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="an empty one, kept afterwards; a temporary one when left out")
    parser.add_argument("--output", type=Path, default=Path("verticals/credit_risk/results/retrain_kills.json"))
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    chosen = parse_arguments()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="retrain_kills_"))
    try:
        result = run(folder.resolve(), chosen.kills, chosen.seed, chosen.output)
        write_json(chosen.output, result)
        print(f"{result['failures']} failures; written: {chosen.output}", flush=True)
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(result["failures"]))


if __name__ == "__main__":
    main()
