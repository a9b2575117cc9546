"""SIGKILL for a run at a random time or as soon as a step or a file's writing begins, and a look at what is left."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from killed_lender import Before, Lender, Start, problems_of, wrong_scores

from core.lifecycle.retrain.journal import Journal
from core.lifecycle.retrain.loop import EXIT_CODES
from core.stages import STAGES

RANDOM = "random"
FILES = {"rows file": "take_in", "dvc.lock": "train"}  # aims at a file's writing, and the step after which it is over
ORPHAN_SECONDS, AIM_SECONDS = 5.0, 0.3
SCORED_EVERY = 10  # kills
BEGUN = re.compile(r"^\[\d+/11\] (\w+)$", re.MULTILINE)
STAGE = re.compile(r"^\[\d+/6\] (\w+) \(at", re.MULTILINE)


@dataclass
class Kill:
    """aim: "random" or what was aimed at. step, stage: that was going on. orphan_seconds: until all were gone."""

    delivery: str
    kind: str
    aim: str
    step: str
    stage: str
    after_seconds: float
    orphan_seconds: float


def step_going_on(start: Start, journal: Journal | None) -> str:
    """By the journal and what the process has said; "start": before its first step, "end": the run was over."""
    begun = BEGUN.findall(start.said)
    if journal is not None and journal.outcome is not None:
        return "end"
    return begun[-1] if begun else "start"


def stage_going_on(start: Start) -> str:
    """Of the pipeline; empty where none runs."""
    rest = BEGUN.split(start.said)[-1]
    stages = STAGE.findall(rest)
    return "" if "\nPipeline: " in rest or not stages else stages[-1]


@dataclass
class Killer:
    """Kills a lender's runs and remembers how.

    run_seconds: of a whole run. usual: seconds of its steps. missed: aims at what was over before it could be hit.
    """

    lender: Lender
    random: np.random.Generator
    run_seconds: float = 60.0
    usual: dict[str, float] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {what}", flush=True)

    def fail(self, where: str, problems: list[str]) -> None:
        self.failures += [{"where": where, "problem": problem} for problem in problems]
        for problem in problems:
            self.tell(f"FAILURE {where}: {problem}")

    def is_done(self, aim: str, delivery: Path) -> bool:
        """Whether what is aimed at is over already."""
        journal = self.lender.journal_of(delivery.stem)
        return journal is not None and journal.result(FILES.get(aim, aim)) is not None

    def start_and_kill(self, delivery: Path, before: Before, aim: str, *, kind: str | None = None) -> int | None:
        """None: it was killed; its exit code where it ended before."""
        kind = kind or ("process", "group")[len(self.kills) % 2]
        start = self.lender.retrain(delivery)
        if not self.wait_for(aim, start, delivery):
            code = start.end()
            if aim != RANDOM:
                self.missed[aim] += 1
            if code not in EXIT_CODES.values():
                self.fail(f"{delivery.stem}, aim {aim}, exit {code}", [start.said[-3000:]])
                return None
            return code
        self.kill(start, delivery, before, aim, kind)
        return None

    def kill(self, start: Start, delivery: Path, before: Before, aim: str, kind: str) -> None:
        """At once; what is wrong then, and when its last child is gone, is a failure."""
        after_seconds = round(time.monotonic() - start.began, 2)
        start.kill(kind)
        looks = (wrong_scores,) if len(self.kills) % SCORED_EVERY == SCORED_EVERY - 1 else ()
        problems = problems_of(self.lender, before, delivery.stem, *looks)
        orphan_seconds = self.await_orphans(problems)
        problems += [f"later: {problem}" for problem in problems_of(self.lender, before, delivery.stem)]
        step = step_going_on(start, self.lender.journal_of(delivery.stem))
        kill = Kill(delivery.stem, kind, aim, step, stage_going_on(start), after_seconds, orphan_seconds)
        self.kills.append(kill)
        self.tell(f"{len(self.kills)}: {delivery.stem}, {aim}: {kind} after {after_seconds} s at {step} {kill.stage}")
        self.fail(f"kill {len(self.kills)}: {asdict(kill)}", problems)

    def wait_for(self, aim: str, start: Start, delivery: Path) -> bool:
        """Until the moment to kill; False: the process has ended."""
        if aim == RANDOM:
            until = start.began + self.random.uniform(0, 1.1 * self.left_seconds(delivery))
            while time.monotonic() < until and start.process.poll() is None:
                time.sleep(0.005)
            return start.process.poll() is None
        is_there = self.target(aim, start)
        while not is_there():
            if start.process.poll() is not None:
                return False
            time.sleep(0.0005 if aim == "rows file" else 0.002)
        if aim != "rows file":  # there for some milliseconds
            time.sleep(self.random.uniform(0, min(AIM_SECONDS, 1.5 * self.usual.get(aim, 1.0) + 0.01)))
        return start.process.poll() is None

    def target(self, aim: str, start: Start) -> Callable[[], bool]:
        """Whether what is aimed at has begun."""
        if aim == "rows file":
            return lambda: any(path.name.startswith(".") for path in (self.lender.domain / "rows").iterdir())
        if aim == "dvc.lock":
            paths = [self.lender.root / "dvc.lock", self.lender.root / ".dvc.lock.part"]

            def state() -> list:
                return [(path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None for path in paths]

            first = state()
            return lambda: state() != first
        return lambda: aim in BEGUN.findall(start.said)

    def left_seconds(self, delivery: Path) -> float:
        """Of a whole run, without the steps and the pipeline's stages that are done."""
        journal = self.lender.journal_of(delivery.stem)
        done = sum(self.usual.get(step, 0.0) for step in (journal.values["steps"] if journal else {}))
        stages = [STAGES.index(kill.stage) for kill in self.kills if kill.delivery == delivery.stem and kill.stage]
        if stages and (journal is None or "train" not in journal.values["steps"]):
            done += self.usual.get("train", 0.0) * max(stages) / len(STAGES)
        return max(self.run_seconds - done, 5.0)

    def await_orphans(self, problems: list[str]) -> float:
        """Seconds until none of the killed process's children is there."""
        began = time.monotonic()
        while there := self.lender.processes():
            if time.monotonic() - began > ORPHAN_SECONDS:
                problems += [f"orphan after {ORPHAN_SECONDS:.0f} s: {' '.join(one.cmdline()[:6])}" for one in there]
                for one in there:
                    one.kill()
                return ORPHAN_SECONDS
            time.sleep(0.02)
        return round(time.monotonic() - began, 2)
