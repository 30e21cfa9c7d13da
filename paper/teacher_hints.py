"""Claim: a hierarchy that nobody designed emerges from a teacher's hints.

Paper (arXiv 2601.00455), "brain dump": a teacher computes with a circuit of T layers of d neurons, each a K-junta of
the layer below, and reveals q random majorities of k neurons of each layer. For q of the order of d², up to factors in
k, K and logarithms, the majorities form a (T, K, poly(d))-hierarchy with high probability: averages of a layer's hints
give its neurons back, so that a hint of the next layer is a threshold of a polynomial of degree K in them. Assumed:
random majorities of all neurons, without noise, and examples and width polynomial in the size of the hierarchy.

Measured: the error of the circuit's outputs on fresh rows against the number of hints of each layer, from 0 to d², for
several d, k, shares of the neurons that the teacher is aware of, and noise. The outputs are labels, too, and are always
there. Beside it two thresholds: Bernstein's bound on the hints that give all neurons back on all values of a layer, and
a simulation of the averages on the same fresh rows. Of circuits so small that all inputs can be enumerated, also the
norm M of the hierarchy that the hints form.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from paper._emergence import certify_small_circuits, emergence_table
from paper._markdown import markdown_table
from rungwise import RungwiseClassifier
from rungwise.features import LearnedFeatures
from rungwise.teacher import CircuitTeacher, Hints
from rungwise.theory import hint_correlation, n_hints_that_suffice, reconstruct_neurons

TITLE = "Hints of a teacher become a hierarchy"
N_INPUTS, FAN_IN, N_TEST = 16, 3, 4000
FAILURE_PROBABILITY = 0.1
TARGET = 0.01
# Circuits are learned without dropout, and of three folds fewer networks than of five: hundreds of labels take minutes.
WIDTH, DROPOUT, N_FOLDS = 256, 0.0, 3
_TICKS = (0, 0.5, 1, 2, 4, 8, 16, 32)
COLUMNS = ("0", "d", "4d", "d²")


@dataclass(frozen=True)
class Setting:
    """One teacher: layers of d neurons, majorities of k, the share of neurons it is aware of, and noise."""

    d: int
    n_layers: int = 4
    k: int = 3
    awareness: float = 1.0
    noise: float = 0.0

    @property
    def name(self) -> str:
        parts = [f"{self.n_layers} layers", f"d = {self.d}", f"k = {self.k}"]
        parts += [f"awareness {self.awareness:g}"] if self.awareness < 1 else []
        return ", ".join([*parts, *([f"noise {self.noise:g}"] if self.noise else [])])


def n_hints(d: int) -> dict[str, int]:
    """Return the numbers of hints by the names of `COLUMNS`."""
    return dict(zip(COLUMNS, (0, d, 4 * d, d * d), strict=True))


def plan(quick: bool) -> list[tuple[Setting, tuple[str, ...]]]:
    """Return the teachers, and how many hints of each are tried, by the names of `COLUMNS`."""
    if quick:
        return [(Setting(8), ("0", "d", "d²")), (Setting(8, awareness=0.5, noise=0.02), ("d²",))]
    variants = (
        Setting(12, k=1),
        Setting(12, k=5),
        Setting(12, awareness=0.5),
        Setting(12, noise=0.02),
        Setting(12, awareness=0.5, noise=0.02),
    )
    # Circuits of d = 8 are learned by heart, and with d = 16 a fit takes many minutes.
    return [
        (Setting(8), ("0", "d", "d²")),
        (Setting(12, n_layers=8), ("0", "d", "4d", "d²")),
        (Setting(12), ("0", "d²")),
        *((setting, ("4d", "d²")) for setting in variants),
    ]


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    n = 1000 if quick else 5000
    runs = []
    for setting, columns in plan(quick):
        points = []
        for column in columns:
            report(f"{setting.name}: {column} hints of each layer")
            points.append({"column": column, **measure_point(setting, n_hints(setting.d)[column], n, seed)})
        runs.append({**asdict(setting), "name": setting.name, **thresholds(setting, points), "points": points})
    settings = {"inputs": N_INPUTS, "fan-in": FAN_IN, "examples": n, "test examples": N_TEST}
    settings |= {"width": WIDTH, "dropout": DROPOUT, "folds": N_FOLDS}
    settings |= {"target": TARGET, "failure probability": FAILURE_PROBABILITY}
    report("small circuits, every input")
    return {
        "settings": settings,
        "runs": runs,
        "small circuits": certify_small_circuits((4,) if quick else (4, 5, 6), seed),
    }


def measure_point(setting: Setting, q: int, n: int, seed: int) -> dict:
    """Learn the outputs of a circuit from n rows with q hints of each layer, and return errors on fresh rows."""
    teacher = CircuitTeacher.random(N_INPUTS, setting.n_layers, setting.d, FAN_IN, random_state=seed)
    X = np.random.default_rng([seed, 1]).choice([-1.0, 1.0], size=(n + N_TEST, N_INPUTS)).astype(np.float32)
    X, X_test = X[:n], X[n:]
    Y, truth = teacher.outputs(X).astype(np.float32), teacher.outputs(X_test).astype(np.float32)
    hints = None
    if q:
        rng = np.random.default_rng([seed, 2])
        hints = teacher.hints(X, q, setting.k, setting.awareness, setting.noise, random_state=rng)
        Y, truth = np.hstack([hints.Y, Y]), np.hstack([hints.on(X_test), truth])
    # One block for each layer, and one more: later ones gain hardly anything, and cost as much.
    learner = RungwiseClassifier(
        LearnedFeatures(WIDTH, DROPOUT), n_folds=N_FOLDS, max_depth=setting.n_layers + 1, random_state=seed
    )
    began = time.perf_counter()
    learner.fit(X, Y)
    seconds = time.perf_counter() - began
    wrong = (learner.predict(X_test) != truth).mean(axis=0)
    common = np.abs(Y[:, -setting.d :].mean(axis=0))
    return {
        "hints": q,
        "labels": Y.shape[1],
        "error of the outputs": float(wrong[-setting.d :].mean()),
        "error of the frequency": float((1 - common).mean() / 2),
        "errors of the hints": wrong[: q * setting.n_layers].reshape(-1, q).mean(axis=1).tolist() if q else [],
        "averages wrong": None if hints is None else averages_wrong(hints, X_test),
        "blocks": learner.n_blocks_,
        "seconds": seconds,
    }


def averages_wrong(hints: Hints, X: np.ndarray) -> float:
    """Return how often the sign of a neuron is wrong when it is read from averages of its layer's true hints.

    A neuron in no majority has the average 0, which counts as half wrong.
    """
    layers, shown = hints.teacher.neurons(X), hints.on(X)
    wrong = []
    for level, (neurons, weights) in enumerate(zip(layers, hints.weights, strict=True), start=1):
        estimates = reconstruct_neurons(shown[:, hints.layer == level], weights)
        wrong.append(np.where(estimates == 0, 0.5, np.sign(estimates) != neurons).mean())
    return float(np.mean(wrong))


def thresholds(setting: Setting, points: list[dict]) -> dict:
    """Return the number of hints that theory and simulation ask for, and that was measured; None if more than tried."""

    def first(key: str) -> int | None:
        enough = (point["hints"] for point in points if point[key] is not None and point[key] <= TARGET)
        return min(enough, default=None)

    bound = n_hints_that_suffice(setting.d, setting.k, 2**setting.d, 1.0, FAILURE_PROBABILITY)
    return {
        "alpha": hint_correlation(setting.d, setting.k),
        "enough by Bernstein": bound if setting.awareness == 1 else None,
        "enough by simulation": first("averages wrong"),
        "enough as measured": first("error of the outputs"),
    }


def draw(result: dict, figure: Any) -> None:
    figure.set_size_inches(14, 4.6)
    by_circuit, others, averages = figure.subplots(1, 3)
    runs = result["runs"]
    plain = [run for run in runs if run["k"] == 3 and run["awareness"] == 1 and not run["noise"]]
    alike = [run for run in runs if (run["d"], run["n_layers"]) == (runs[-1]["d"], runs[-1]["n_layers"])]
    for panel, shown in ((by_circuit, plain), (others, alike)):
        for run in shown:
            _curve(panel, run, "error of the outputs")
        panel.axhline(result["settings"]["target"], color="grey", linestyle=":", linewidth=1)
        panel.set(ylabel="error of the circuit's outputs")
    by_circuit.set_title("by layers of the circuit, and their width")
    others.set_title("by kind of majority and teacher")
    for number, run in enumerate(plain):
        _curve(averages, run, "averages wrong")
        averages.axvline(run["enough by Bernstein"] / run["d"], color=f"C{number}", linestyle=":", linewidth=1)
    averages.set(title="averages of hints (dotted: Bernstein's bound)", ylabel="neurons read wrongly")
    for panel in (by_circuit, others, averages):
        panel.set_xscale("symlog", base=2, linthresh=0.5)
        panel.set_xticks(_TICKS, labels=map("{:g}".format, _TICKS))
        panel.set_xlabel("hints of each layer / d")
        panel.set_ylim(bottom=-0.005)
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=8)


def _curve(panel: Any, run: dict, key: str) -> None:
    points = [point for point in run["points"] if point[key] is not None]
    panel.plot([p["hints"] / run["d"] for p in points], [p[key] for p in points], "o-", label=run["name"])


def describe(result: dict) -> str:
    settings, runs = result["settings"], result["runs"]
    seconds = max(point["seconds"] for run in runs for point in run["points"])
    verdicts = "\n".join(f"- {_verdict(run, settings['target'])}" for run in runs)
    return f"""\
Error of the outputs of a random circuit of layers of d neurons over {settings["inputs"]} bits,
each neuron a random function of {settings["fan-in"]} of the layer below, on {settings["test examples"]:,} fresh rows;
learned from {settings["examples"]:,} examples labelled with the outputs and majorities of k neurons of each layer:

{_table(runs)}

{verdicts}

Hints that give every neuron back on every value of its layer, without noise, with probability
{1 - settings["failure probability"]:g}: by Bernstein's bound {_listed(runs, "enough by Bernstein")}.
Averages of hints read at most {settings["target"]:.0%} of the neurons wrongly from
{_listed(runs, "enough by simulation")} on. These are averages of true hints:
learned ones are free of most of the noise of annotations.

Smaller circuits of 3 layers over d bits, every input enumerated: the circuits of which every hint is a
polynomial threshold function of degree 3 of the hints below, and the largest norm M of these functions (k = 3):

{emergence_table(result["small circuits"])}

Where this is not the theorem's setting: blocks are networks of several layers of {settings["width"]} units, all of
which are trained, not random features ({settings["folds"]} folds, at most a block more than there are layers, no
dropout; the longest fit took {seconds:.0f} s). Once layer 1 is known, the outputs are functions of d bits: d = 8 of
them have 256 values, which can be learned by heart, and then hints of the higher layers are not needed. Awareness
below 1 and noise are outside of the theorem. Each row is one circuit."""


def _table(runs: list[dict]) -> str:
    columns = [c for c in COLUMNS if any(point["column"] == c for run in runs for point in run["points"])]
    rows = []
    for run in runs:
        errors = {point["column"]: f"{point['error of the outputs']:.3f}" for point in run["points"]}
        rows.append([run["name"], *(errors.get(column, "") for column in columns)])
    return markdown_table(("hints of each layer", *(f" {column}" for column in columns)), rows)


def _verdict(run: dict, target: float) -> str:
    first, last = run["points"][0], run["points"][-1]
    found = run["enough as measured"]
    met = f"more than {target:.0%} at every number tried"
    if found == 0:
        met = f"at most {target:.0%} even without hints"
    elif found is not None:
        met = f"at most {target:.0%} from {found} hints of each layer on"
        met += ", the fewest tried" if found == first["hints"] else ""
    start = f"{first['error of the outputs']:.1%} without hints, " if first["hints"] == 0 else ""
    return f"{run['name']}: {start}{last['error of the outputs']:.1%} with {last['hints']}; {met}."


def _listed(runs: list[dict], key: str) -> str:
    known = [f"{run[key]} ({run['name']})" for run in runs if run[key] is not None]
    return ", ".join(known) or "more than were tried"
