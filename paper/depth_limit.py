"""Claim: what needs depth is learned with depth, given labels on the way; what is shallow does not get there.

Paper (arXiv 2601.00455), introduction, the depth limit: any circuit of polynomial size whose gates are
among the labels is a hierarchy, so that the class that layerwise SGD learns holds functions that need polynomial depth.
Classes proved learnable by deep networks before are computed by circuits of logarithmic depth. Assumed: the usual
conjectures of complexity (that there are functions of polynomial size without circuits of logarithmic depth), and
labels for every gate.

Measured, on families of tasks that differ in logical depth: the error of the labels at the top, and the seconds, of

- rungwise, which is given all labels;
- kernel ridge regression with the dual kernels of random ReLU networks of 1, 2, 4 and 8 hidden layers, a network of one
  hidden layer and a residual network trained end to end, which are given the labels at the top;
- a cascade of logarithmic depth: rungwise, with all labels, but at most log2(depth) blocks.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks._resnet import MAX_BLOCKS
from paper._depth_learners import (
    KERNEL_BETA,
    KERNEL_DEPTHS,
    KERNEL_PENALTIES,
    cascade,
    deep_network,
    kernels,
    ours,
    shallow_network,
)
from paper._depth_tasks import FAMILIES, DepthTask
from paper._markdown import markdown_table

TITLE = "The depth limit"
OURS, CASCADE = "rungwise", "cascade of log2(depth) blocks"
SHALLOW, DEEP = "network, one hidden layer", "residual network, end to end"
KERNELS = {depth: f"kernel of {depth} layer{'s' if depth > 1 else ''}" for depth in KERNEL_DEPTHS}
PEERS = (CASCADE, SHALLOW, DEEP, *KERNELS.values())
# Seconds for which the best learning rate of a network is trained, after a fifth of it for each of three.
BUDGET, QUICK_BUDGET = 30.0, 1.0


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    budget = QUICK_BUDGET if quick else BUDGET
    ours(next(FAMILIES[next(iter(FAMILIES))](True, seed)), seed)  # so that what every fit loads once is there
    points = []
    for family in FAMILIES.values():
        for task in family(quick, seed):
            points.append(measure_point(task, seed, budget, quick, report))
    return {
        "settings": {
            "network budget, seconds": budget,
            "small networks": quick,
            "most blocks": MAX_BLOCKS,
            "kernel beta": KERNEL_BETA,
            "kernel depths": list(KERNEL_DEPTHS),
            "kernel penalties": list(KERNEL_PENALTIES),
        },
        "points": points,
        "slopes": {family: slopes([point for point in points if point["family"] == family]) for family in FAMILIES},
    }


def measure_point(task: DepthTask, seed: int, budget: float, quick: bool, report: Callable[[str], None]) -> dict:
    """Return what every learner makes of one task."""

    def tell(learner: str) -> None:
        report(f"{task.family}, depth {task.depth}: {learner}")

    found = {}
    for name, learn in ((OURS, ours), (CASCADE, cascade)):
        tell(name)
        found[name] = learn(task, seed)
    for name, network in ((SHALLOW, shallow_network), (DEEP, deep_network)):
        tell(name)
        found[name] = network(task, seed, budget, quick)
    tell("kernels")
    found |= {KERNELS[depth]: outcome for depth, outcome in kernels(task, seed).items()}
    return {
        "family": task.family,
        "depth": task.depth,
        "inputs": task.X[0].size,
        "labels": task.Y.shape[-1],
        "judged labels": len(task.judged),
        "examples": task.Y[..., 0].size,
        "test examples": task.Y_test[..., 0].size,
        "error of the frequency": task.frequency_error,
        "learners": {name: asdict(outcome) for name, outcome in found.items()},
    }


def slopes(points: list[dict]) -> dict[str, float]:
    """Return the slopes of log seconds and log blocks of ours over log depth."""
    depth = np.log([point["depth"] for point in points])
    own = [point["learners"][OURS] for point in points]
    return {
        key: float(np.polyfit(depth, np.log([outcome[key] for outcome in own]), 1)[0]) for key in ("seconds", "blocks")
    }


def draw(result: dict, figure: Any) -> None:
    figure.set_size_inches(4.6 * 4, 4.8)
    *panels, times = figure.subplots(1, len(FAMILIES) + 1)
    for panel, family in zip(panels, FAMILIES, strict=True):
        own = _of(result, family)
        depth = [point["depth"] for point in own]
        for number, name in enumerate((OURS, *PEERS)):
            errors = [point["learners"][name]["error"] for point in own]
            thick = {"linewidth": 2.5, "zorder": 3} if name == OURS else {"linewidth": 1.2}
            panel.plot(depth, errors, "o-" if number < 4 else ".--", label=name, **thick)
        panel.plot(depth, [point["error of the frequency"] for point in own], "k:", label="label's frequency")
        panel.set(title=family, xlabel="logical depth", ylabel="error of the labels at the top", xscale="log")
        panel.set_ylim(-0.02, 0.55)
        _ticks(panel, depth)
    panels[0].legend(fontsize=7)
    for family in FAMILIES:
        own = _of(result, family)
        slope = result["slopes"][family]["seconds"]
        seconds = [point["learners"][OURS]["seconds"] for point in own]
        times.plot([point["depth"] for point in own], seconds, "o-", label=f"{family}, slope {slope:.2f}")
    times.set(title=f"{OURS}: time of the fit", xlabel="logical depth", ylabel="seconds", xscale="log", yscale="log")
    _ticks(times, sorted({point["depth"] for point in result["points"]} & {2**k for k in range(10)}))
    times.grid(visible=True, alpha=0.3)
    times.legend(fontsize=8)


def _ticks(panel: Any, depth: list[int]) -> None:
    panel.set_xticks(depth, labels=map(str, depth))
    panel.minorticks_off()


def describe(result: dict) -> str:
    settings = result["settings"]
    small = "; small networks, one learning rate" if settings["small networks"] else ", out of three"
    kernel_depths = ", ".join(map(str, settings["kernel depths"]))
    n_penalties = len(settings["kernel penalties"])
    verdicts = "\n".join(f"- {_verdict(result, family)}" for family in FAMILIES)
    return f"""\
Error of the labels at the top on unseen examples, by logical depth. rungwise (default settings) and the cascade, which
is the same with at most log2(depth) blocks, see the labels of all gates; the others see those at the top.

{_table(result)}

{verdicts}

Peers choose on a tenth of the examples: the cascade between gates and forests; kernels (those of random ReLU networks
of {kernel_depths} hidden layers, β = {settings["kernel beta"]:g}) their ridge penalty, out of {n_penalties}; networks
when to stop, and their learning rate, with which they are trained for at most
{settings["network budget, seconds"]:g} s{small}. The residual network has two blocks more than the depth, at most
{settings["most blocks"]}. The table has the kernel that is best on the test examples.

Where this is not the theorem's setting: rungwise recognises gates of few bits as such; random features, the theorem's
blocks, are measured elsewhere. A block settles gates of up to three bits, and so climbs several of the multiplier's
nors at once. That nothing shallow computes a function is a conjecture, about circuits and rule 110 in general and not
about these instances, and products do have circuits of logarithmic depth: depth here is that of the circuit which made
the labels. Peers fail to learn from so many examples in so much time; the cascade shows what depth adds to the labels
on the way, which it sees, too. The number of labels grows with depth, and so does the time that a block takes."""


def _table(result: dict) -> str:
    head = ("family", " depth", " labels", " blocks", " seconds", " rungwise", " cascade", " one layer", " end to end")
    rows = []
    for point in result["points"]:
        learners = point["learners"]
        errors = [learners[name]["error"] for name in (OURS, CASCADE, SHALLOW, DEEP)]
        errors.append(min(learners[name]["error"] for name in KERNELS.values()))
        own = learners[OURS]
        cells = [point["family"], point["depth"], point["labels"], own["blocks"], f"{own['seconds']:.2f}"]
        rows.append([*cells, *(f"{error:.3f}" for error in (*errors, point["error of the frequency"]))])
    return markdown_table((*head, " kernel", " frequency"), rows)


def _verdict(result: dict, family: str) -> str:
    """Return what happened in one family, in words."""
    points = _of(result, family)
    worst = max(point["learners"][OURS]["error"] for point in points)
    deepest = points[-1]
    found, slope = deepest["learners"], result["slopes"][family]
    own, peer = found[OURS], min(PEERS, key=lambda name: found[name]["error"])
    return (
        f"{family.capitalize()}: rungwise is wrong on at most {worst:.2%} at any depth; at depth {deepest['depth']} it "
        f"takes {own['blocks']} blocks and {own['seconds']:.1f} s, and the best peer ({peer}) is wrong on "
        f"{found[peer]['error']:.1%}. Seconds grow as depth^{slope['seconds']:.2f}, blocks as "
        f"depth^{slope['blocks']:.2f}."
    )


def _of(result: dict, family: str) -> list[dict]:
    return [point for point in result["points"] if point["family"] == family]
