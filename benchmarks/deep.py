"""Deep hierarchies, ours beside its peers: python -m benchmarks.deep.

Ours has one configuration for all tasks, RungwiseClassifier(features="sparse", random_state=0). For every task the
error on unseen rows by level, the share of rows with every label right, the seconds, and, where training labels are
free of noise, precision and recall of the discovered edges (`benchmarks/_scores.py` says when an edge is right).

Peers get, as a budget, twice our seconds and at least --least-budget of them. They choose settings on a tenth of the
training rows and stop early there; the search for settings may take a second budget. Then they are ended: the last
answer counts, and the remark says so. With --quick they are small, and nothing is to be learned from their numbers.

Two parts look at the limits: "examples", the fewest examples from which ours is exact beside log2 of the number of
candidate functions, and "time", seconds beside the operations of screening at the rate of a float32 product of two
4,096 x 4,096 matrices in the same run.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks._machine import matrix_product_rate
from benchmarks._peers import PEERS, PeerRunner
from benchmarks._plots import scaling_figure
from benchmarks._problem import Problem
from benchmarks._scaling import fewest_examples, instances, measure_time
from benchmarks._scores import score, score_edges
from benchmarks._tables import examples_table, floors_table, task_table, times_table
from benchmarks._tasks import TASKS, Floor, Skipped, Task
from rungwise import RungwiseClassifier

OURS = "rungwise"
EXAMPLES, TIME = "examples", "time"
SCREENING = Floor("share of the matrix-product rate", 0.5, at_most=False, rows=None)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = [*TASKS, EXAMPLES, TIME]
    parser.add_argument("--task", action="append", choices=parts, help="only this one; may be given more than once")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="run the peers, too")
    parser.add_argument("--quick", action="store_true", help="sizes so small that all of it takes about a minute")
    parser.add_argument("--seeds", type=int, default=1, help="so many data sets for each task")
    parser.add_argument("--least-budget", type=float, help="least seconds of a peer's budget (default: 60, quick: 0.5)")
    parser.add_argument("--examples-budget", type=float, default=1200.0, help="seconds for each fewest examples")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of deep.json, deep.png")
    options = parser.parse_args(arguments)
    if options.least_budget is None:
        options.least_budget = 0.5 if options.quick else 60.0
    options.output.mkdir(parents=True, exist_ok=True)
    Deep(options).run(options.task or parts)


class Deep:
    """One run of the command, and all that it has measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.quick, self.with_peers, self.seeds = options.quick, options.peers, range(options.seeds)
        self.least_budget, self.output = options.least_budget, options.output
        self.examples_budget = options.examples_budget
        # Into a file, tables are as wide as their lines need; into a terminal, as it is.
        self.console = Console() if Console().is_terminal else Console(width=200)
        self.rate = self._measure_rate()
        self.results: list[dict] = []
        self.examples: dict[tuple[str, int], dict] = {}
        self.times: list[dict] = []
        self.floors: list[tuple[str, Floor, list[float | None]]] = []

    def run(self, parts: list[str]) -> None:
        """Measure the named parts, print their tables and write the files."""
        self.console.print(
            f"{torch.get_num_threads()} threads, matrix products at {self.rate / 1e9:.0f} GFLOP/s", highlight=False
        )
        with PeerRunner() as runner:
            for name in (name for name in TASKS if name in parts):
                self._run_task(name, runner)
        if EXAMPLES in parts:
            self._find_fewest([instance.name for instance in instances(self.quick)])
        if TIME in parts:
            self._measure_times()
        if (self.examples or self.times) and not scaling_figure(
            list(self.examples.values()), self.times, self.output / "deep.png"
        ):
            self.console.print("no plot: matplotlib is not installed (pip install 'rungwise[bench]')", markup=False)
        verdicts = [(name, floor, _worst(floor, values)) for name, floor, values in self.floors]
        self.console.print(floors_table(verdicts, self.quick))
        self._save()

    def _measure_rate(self) -> float:
        return matrix_product_rate(1024 if self.quick else 4096)

    def _run_task(self, name: str, runner: PeerRunner) -> None:
        title, own = name, []
        values: dict[Floor, list[float | None]] = {}
        for seed in self.seeds:
            try:
                task = TASKS[name](seed, self.quick)
            except Skipped as reason:
                self.console.print(f"{name}: skipped, {reason}", highlight=False)
                return
            title = f"{name}: {task.title}"
            own.append(self._fit_ours(task, seed))
            for floor in task.floors:
                values.setdefault(floor, []).append(_measured(floor, own[-1]))
            if self.with_peers:
                budget = self.least_budget if self.quick else max(self.least_budget, 2 * own[-1]["seconds"])
                own += [self._run_peer(task, seed, peer, budget, runner) for peer in PEERS]
        self.console.print(task_table(title, own))
        self.results += own
        self.floors += [(name, floor, values[floor]) for floor in values]
        if name == "multiplier":
            self._find_fewest([instances(self.quick)[-1].name])
        self._save()

    def _fit_ours(self, task: Task, seed: int) -> dict:
        result = {"task": task.name, "title": task.title, "seed": seed, "learner": OURS, "scores": {}, "remark": ""}
        learner = RungwiseClassifier(features="sparse", neighborhood=task.neighborhood, random_state=0)
        with self.console.status(f"{task.name}: {OURS}"):
            began = time.perf_counter()
            try:
                fitted = learner.fit(task.X, task.Y)
            except Exception as error:  # the other tasks and the peers are still worth measuring
                seconds = time.perf_counter() - began
                result |= {"seconds": seconds, "remark": f"failed: {type(error).__name__}: {error}"}
            else:
                result |= {"seconds": time.perf_counter() - began, "remark": f"{fitted.n_blocks_} blocks"}
                for rows, (X, Y) in task.tests.items():
                    result["scores"][rows] = score(Y, fitted.predict(X).astype(np.int8), task.level)
                if task.noise_free:
                    result["edges"] = score_edges(fitted, task)
        self._tell(result)
        return result

    def _run_peer(self, task: Task, seed: int, peer: str, budget: float, runner: PeerRunner) -> dict:
        problem = Problem(
            task.X,
            task.Y,
            [X for X, _ in task.tests.values()],
            int(task.level.max()),
            np.flatnonzero(task.level == task.level.max()),
            task.neighborhood,
            budget,
            seed,
            self.quick,
        )
        with self.console.status(f"{task.name}: {peer}, at most {problem.limit:.0f} s"):
            outcome = runner.run(peer, problem)
        result = {"task": task.name, "title": task.title, "seed": seed, "learner": peer, "scores": {}}
        result |= {"seconds": outcome.seconds, "remark": outcome.remark}
        if outcome.answer is not None:
            for (rows, (_, Y)), predicted in zip(task.tests.items(), outcome.answer.predictions, strict=True):
                result["scores"][rows] = score(Y, predicted, task.level)
        self._tell(result)
        return result

    def _tell(self, result: dict) -> None:
        """Print the progress line of a run."""
        errors = [f"{scores['all labels']:.3%} wrong on {rows}" for rows, scores in result["scores"].items()]
        text = ", ".join([*errors, f"{result['seconds']:.1f} s", result["remark"]])
        self.console.print(
            f"{result['task']}, seed {result['seed']}, {result['learner']}: {text}", highlight=False, markup=False
        )

    def _tell_trial(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def _find_fewest(self, names: list[str]) -> None:
        for instance in instances(self.quick):
            for seed in self.seeds:
                if instance.name in names and (instance.name, seed) not in self.examples:
                    n_test = 500 if self.quick else 10_000
                    with self.console.status(f"fewest examples, {instance.name}"):
                        point = fewest_examples(instance, seed, n_test, self._tell_trial, self.examples_budget)
                    self.examples[instance.name, seed] = point
                    fewest = point["fewest examples"]
                    self.console.print(f"fewest examples, {instance.name}, seed {seed}: {fewest}", highlight=False)
        self.console.print(examples_table([point for (name, _), point in self.examples.items() if name in names]))

    def _measure_times(self) -> None:
        measured = instances(self.quick)
        for instance in measured:
            with self.console.status(f"time, {instance.name}"):
                self.times.append(measure_time(instance, 0, self._measure_rate()))
            seconds, share = self.times[-1]["fit seconds"], self.times[-1][SCREENING.measure]
            text = f"{seconds:.1f} s, pairs at {share:.0%} of the matrix-product rate"
            self.console.print(f"time, {instance.name}: {text}", highlight=False)
            self._save()
        self.console.print(times_table(self.times))
        for point in self.times[-2:]:
            self.floors.append((f"screening, {point['instance']}", SCREENING, [point[SCREENING.measure]]))

    def _save(self) -> None:
        content = {
            "quick": self.quick,
            "machine": {
                "processor": platform.machine(),
                "processors": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "matrix products, operations per second": self.rate,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "results": self.results,
            "examples": list(self.examples.values()),
            "time": self.times,
            "floors": [
                {"task": name, "floor": vars(floor), "values": values, "met": _is_met(floor, values)}
                for name, floor, values in self.floors
            ],
        }
        (self.output / "deep.json").write_text(json.dumps(content, indent=1) + "\n")


def _measured(floor: Floor, result: dict) -> float | None:
    """Return the value that a floor is about; None if there is none, as after a failure."""
    if floor.rows is not None:
        return result["scores"].get(floor.rows, {}).get(floor.measure)
    if floor.measure == "seconds":
        return result["seconds"] if result["scores"] else None
    return result.get("edges", {}).get(floor.measure)


def _worst(floor: Floor, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    return max(known) if floor.at_most else min(known)


def _is_met(floor: Floor, values: list[float | None]) -> bool:
    worst = _worst(floor, values)
    return worst is not None and floor.met(worst)


if __name__ == "__main__":
    main()
