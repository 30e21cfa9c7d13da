"""How many examples and how much time ours takes, beside what information and matrix products would allow.

Examples: to tell N candidate functions apart takes about log2(N) / H examples, where H <= 1 bit is the entropy of the
label: what one example says at most. The candidates of a label, among m stream entries (inputs and labels) and with
fan-in K, are the functions of K of them, N = C(m, K) 2^(2^K). All labels are to be right, so H is that of the most
lopsided one.

Time: the screening must score the pairs of literals, and those scores are matrix products; the operations over the
machine's rate for products are the time that nothing can beat without looking at fewer candidates.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import comb, log2
from unittest import mock

import numpy as np
import torch

from rungwise import RungwiseClassifier
from rungwise.datasets import make_hierarchy, make_multiplier
from rungwise.features.screening import Beam, Screen
from rungwise.fitting.gate_search import GateSearch, GateSettings
from rungwise.theory.hierarchical_model import HierarchicalModel

# Numbers of examples that are tried, about a fifth apart.
GRID = tuple(sorted({round(8 * 1.2**k) for k in range(34)}))
_STRIDE = 4
# A fit is given up as one of too few examples when it takes so many times as long as the slowest exact one.
_PATIENCE, _LEAST_SECONDS = 3.0, 10.0


@dataclass(frozen=True)
class Instance:
    """One size of one kind of problem.

    Attributes
    ----------
    kind, size : str
    make : callable
        Number of rows and seed to X, Y and the true model.
    n_examples : int
        Training rows for the measurement of time.
    """

    kind: str
    size: str
    make: Callable[[int, int], tuple[np.ndarray, np.ndarray, HierarchicalModel]]
    n_examples: int

    @property
    def name(self) -> str:
        return f"{self.kind} {self.size}"


def of_multiplier(n_bits: int, n_examples: int = 1000) -> Instance:
    def make(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
        return make_multiplier(n, n_bits, random_state=seed)

    return Instance("multiplier", f"{n_bits}x{n_bits}", make, n_examples)


def of_hierarchy(d: int, n_levels: int, n_labels: int, n_examples: int = 20_000) -> Instance:
    def make(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
        return make_hierarchy(n, d, n_levels, n_labels, random_state=seed)

    return Instance("hierarchy", f"{d}:{n_levels}x{n_labels}", make, n_examples)


def instances(quick: bool) -> list[Instance]:
    """Return the sizes that are measured; the two on which the share of the matrix-product rate is judged come last."""
    if quick:
        return [
            of_multiplier(5, 300),
            of_hierarchy(15, 3, 6, 2000),
            of_hierarchy(20, 4, 8, 2000),
            of_multiplier(4, 300),
        ]
    return [
        *(of_multiplier(n_bits) for n_bits in (4, 6, 8, 12)),
        *(of_hierarchy(*shape) for shape in ((20, 4, 10), (40, 8, 20), (100, 8, 60))),
        of_hierarchy(60, 8, 30),
        of_multiplier(16),
    ]


def candidate_bits(model: HierarchicalModel) -> float:
    """Return log2 of the number of candidate functions of one label."""
    fan_in = max(len(f.parents) for f in model.functions)
    return log2(comb(model.n_inputs + model.n_labels, fan_in)) + 2**fan_in


def fewest_examples(instance: Instance, seed: int, n_test: int, tell: Callable[[str], None], budget: float) -> dict:
    """Return the fewest examples of `GRID` from which ours is exact on unseen rows.

    From four times the information limit in steps of four along the grid until the answer is between two of them, then
    by bisection: fits of far too few examples explain little and are the slow ones. After ``budget`` seconds no further
    trial begins; "undecided" are the numbers of examples between the most that failed and the fewest that were exact.
    Every trial is told when it is over.
    """
    most = max(GRID)
    X, Y, model = instance.make(most + n_test, seed)
    X_test, Y_test = X[most:], Y[most:]
    tried: list[dict] = []
    began = time.perf_counter()

    def is_exact(n: int) -> bool:
        exact_seconds = [trial["seconds"] for trial in tried if trial["wrong values"] == 0]
        trial = _try(X[:n], Y[:n], X_test, Y_test, max(_PATIENCE * max(exact_seconds, default=np.inf), _LEAST_SECONDS))
        tried.append({"examples": n, **trial})
        outcome = trial["failure"] or f"{trial['wrong values']:,} wrong"
        tell(f"{instance.name}, seed {seed}, {n} examples: {outcome}, {trial['seconds']:.1f} s")
        return trial["wrong values"] == 0

    def in_time() -> bool:
        return time.perf_counter() - began < budget

    bits, entropy = candidate_bits(model), _least_entropy(Y)
    last = len(GRID) - 1
    low, high = -1, next((i for i, n in enumerate(GRID) if n >= 4 * bits / entropy), last)
    while high < last and not is_exact(GRID[high]) and in_time():
        low, high = high, min(last, high + _STRIDE)
    while low < 0 <= high - _STRIDE and in_time():
        low, high = (-1, high - _STRIDE) if is_exact(GRID[high - _STRIDE]) else (high - _STRIDE, high)
    while high - low > 1 and in_time():
        middle = (low + high + 1) // 2
        low, high = (low, middle) if is_exact(GRID[middle]) else (middle, high)
    fewest = min((trial["examples"] for trial in tried if trial["wrong values"] == 0), default=None)
    failed = max((trial["examples"] for trial in tried if trial["wrong values"] != 0), default=0)
    return {
        "instance": instance.name,
        "kind": instance.kind,
        "seed": seed,
        "labels": model.n_labels,
        "depth": int(model.level.max()),
        "candidate bits": bits,
        "least label entropy": entropy,
        "information limit": bits / entropy,
        "fewest examples": fewest,
        "undecided": [n for n in GRID if failed < n < (fewest or np.inf)],
        "tried": tried,
    }


def _try(X: np.ndarray, Y: np.ndarray, X_test: np.ndarray, Y_test: np.ndarray, limit: float) -> dict:
    """Return how many unseen values a fit gets wrong, its seconds, and, if there is no fit within the limit, why."""
    began = time.perf_counter()
    trial: dict = {"wrong values": None, "failure": ""}

    def check_time(report: object) -> None:
        if time.perf_counter() - began > limit:
            raise TimeoutError("too slow")

    try:
        fitted = RungwiseClassifier(features="sparse", callbacks=[check_time], random_state=0).fit(X, Y)
        trial["wrong values"] = int((fitted.predict(X_test) != Y_test).sum())
    except TimeoutError as error:
        trial["failure"] = str(error)
    except Exception as error:  # what is too few for a fit is too few
        trial["failure"] = f"failed: {type(error).__name__}: {error}"
    return {**trial, "seconds": time.perf_counter() - began}


def _least_entropy(Y: np.ndarray) -> float:
    """Return the entropy in bits of the most lopsided label that has both values."""
    p = Y.mean(axis=0)
    p = p[(p > 0) & (p < 1)]
    return float((-p * np.log2(p) - (1 - p) * np.log2(1 - p)).min())


def measure_time(instance: Instance, seed: int, rate: float) -> dict:
    """Return seconds of a fit and of its search for gates, and the operations of that search's screening.

    ``rate`` is the machine's, in operations per second, measured just before, as other work on the machine changes it.
    `Screen.screen_pairs` is timed by itself, in the whole climb.
    """
    X, Y, model = instance.make(instance.n_examples, seed)
    began = time.perf_counter()
    RungwiseClassifier(features="sparse", random_state=0).fit(X, Y)
    fit_seconds = time.perf_counter() - began

    targets = torch.from_numpy(2.0 * Y - 1)
    search = GateSearch(
        torch.from_numpy(X)[:, None],
        targets,
        torch.ones_like(targets),
        lambda values: values[:, None],
        GateSettings(),
        torch.Generator().manual_seed(0),
    )
    pairs = _TimedPairs(search.screen)
    began = time.perf_counter()
    n_rungs = 0
    with torch.no_grad(), mock.patch.object(search.screen, "screen_pairs", pairs):
        while search.next_rung() is not None:
            n_rungs += 1
    search_seconds = time.perf_counter() - began
    return {
        "instance": instance.name,
        "kind": instance.kind,
        "seed": seed,
        "labels": model.n_labels,
        "unsettled": int(search.open.sum()),
        "rungs": n_rungs,
        "examples": instance.n_examples,
        "screened rows": len(search.rows),
        "fit seconds": fit_seconds,
        "search seconds": search_seconds,
        "operations": search.screen.operations,
        "matrix-product rate": rate,
        "seconds at the matrix-product rate": search.screen.operations / rate,
        "pair seconds": pairs.seconds,
        "pair operations": pairs.operations,
        "share of the matrix-product rate": pairs.operations / pairs.seconds / rate,
    }


class _TimedPairs:
    """Stands in for `Screen.screen_pairs`, and times it."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.screen_pairs = screen, screen.screen_pairs
        self.seconds = self.operations = 0.0

    def __call__(self, labels: torch.Tensor, beam: Beam) -> None:
        before, began = self.screen.operations, time.perf_counter()
        self.screen_pairs(labels, beam)
        self.seconds += time.perf_counter() - began
        self.operations += self.screen.operations - before
