"""Runs of `benchmarks.real`: a learner on a set with a seed, in a process of its own; and the file of all runs."""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

from benchmarks._memory import peak_memory
from benchmarks._real_learners import LEARNERS
from benchmarks._real_scores import score_probabilities
from benchmarks._real_sets import load_split

Key = tuple[str, str, int]
OK, TIMED_OUT, FAILED = "ok", "timed out", "failed"


def measure(data: str, learner: str, seed: int) -> dict:
    """Fit and predict once, in this process, and return scores, seconds and bytes."""
    split = load_split(data, seed)
    model = LEARNERS[learner].make(seed)
    # A linear model that has not converged after many iterations is good enough, and says so hundreds of times.
    warnings.simplefilter("ignore")
    start = peak_memory()
    began = time.perf_counter()
    model.fit(split.X, split.Y)
    fitted = time.perf_counter()
    probability = model.predict_proba(split.X_test)
    predicted = time.perf_counter()
    peak = peak_memory()
    # Peers are asked for probabilities alone: what they predict is what is above 1/2.
    labels = model.predict(split.X_test) if hasattr(model, "predict") else None
    return {
        **score_probabilities(split.Y_test, probability, labels),
        "fit s": fitted - began,
        "predict s": predicted - fitted,
        "start bytes": start,
        "peak bytes": peak,
    }


def run(data: str, learner: str, seed: int, limit: float) -> dict:
    """Measure in a fresh process, which is ended after so many seconds.

    Returns
    -------
    dict
        "set", "learner", "seed", "state": "ok", "timed out" or "failed"; "remark": why; and what was measured.
    """
    # Seconds from a machine that was busy before are worth little: the load says which those are.
    result = {"set": data, "learner": learner, "seed": seed, "remark": "", "load before": os.getloadavg()[0]}
    command = [sys.executable, "-m", "benchmarks.real", "--one", data, learner, str(seed)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {**result, "state": TIMED_OUT, "remark": f"no answer in {limit:g} s", "limit": limit}
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        # A negative code is a signal, which leaves no words: the usual one ends a process for want of memory.
        why = said[-1] if said and done.returncode > 0 else f"exit status {done.returncode}"
        return {**result, "state": FAILED, "remark": why}
    # A learner may print, too: ours is the last line.
    return {**result, "state": OK, **json.loads(done.stdout.splitlines()[-1])}


class RunFile:
    """All runs so far, one a line, so that an interrupted command loses none; of equal runs the last one counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: dict[Key, dict] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._keep(json.loads(line))

    def _keep(self, result: dict) -> None:
        self.runs[result["set"], result["learner"], result["seed"]] = result

    def knows(self, data: str, learner: str, seed: int, limit: float) -> bool:
        """Return whether there is no need to run: a failure, or a shorter time limit, deserves another try."""
        known = self.runs.get((data, learner, seed))
        if known is None or known["state"] == FAILED:
            return False
        return known["state"] == OK or known["limit"] >= limit

    def add(self, result: dict) -> None:
        self._keep(result)
        with self.path.open("a") as lines:
            lines.write(json.dumps(result) + "\n")
