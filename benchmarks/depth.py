"""Fit time and peak memory against depth, 10 to 200 levels: python -m benchmarks.depth.

What "depth does not cost" means: at the same size of everything else, time grows at most linearly with the number of
blocks, and memory not at all. Two series:

"same size": always the same numbers of examples, inputs and labels. The labels are chains of parities side by side,
each label the parity of the one before and an input; few long chains are deep, many short ones shallow. The number of
blocks is the only thing that changes. (`make_hierarchy` cannot do this: at 200 levels there would be too few labels on
a level to draw gates from.) The slope of log seconds over log blocks is to be at most 1, that of log memory 0, memory
being what the fit adds to the peak.

"one label a level": the parity of depth + 1 bits by its prefixes, where inputs and labels grow with depth, too. The
pairs of literals times the labels that they are scored for are about depth³, whatever the order in which that is done,
so the slope of seconds is shown, not judged. That of memory is to be at most 1, as for the stream.

Every depth is fitted in a process of its own, in which only the fit comes after the start.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

# Nothing heavy up here: on Linux the peak of a process is at least that of the process which started it.
from rich.console import Console
from rich.table import Table

from benchmarks._memory import peak_memory

SAME_SIZE, ONE_A_LEVEL = "same size", "one label a level"
DEPTHS, QUICK_DEPTHS = (10, 20, 40, 100, 200), (5, 10, 20)
N_EXAMPLES, N_INPUTS, N_LABELS = 1000, 100, 400
# Measured slopes scatter by some hundredths.
SLACK = 0.1


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small depths")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmark-results"), help="folder of depth.json, depth.png"
    )
    parser.add_argument("--one", nargs=2, metavar=("SERIES", "DEPTH"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.quick)))
        return
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console() if Console().is_terminal else Console(width=120)
    points = []
    for series in (SAME_SIZE, ONE_A_LEVEL):
        for depth in QUICK_DEPTHS if options.quick else DEPTHS:
            with console.status(f"{series}, depth {depth}"):
                points.append(_in_a_fresh_process(series, depth, options.quick))
            console.print(f"{series}, depth {depth}: {points[-1]['seconds']:.2f} s", highlight=False)
    console.print(points_table(points))
    slopes = [fitted_slopes(points, series) for series in (SAME_SIZE, ONE_A_LEVEL)]
    for text, slope, limit in verdicts(*slopes):
        state = "shown only" if limit is None else "met" if slope <= limit + SLACK else "MISSED"
        wanted = "" if limit is None else f" (at most {limit:g}, give or take {SLACK:g})"
        console.print(f"{text}: slope {slope:.2f}{wanted}: {state}", highlight=False)
    named = dict(zip((SAME_SIZE, ONE_A_LEVEL), slopes, strict=True))
    content = {"quick": options.quick, "points": points, "slopes": named}
    (options.output / "depth.json").write_text(json.dumps(content, indent=1) + "\n")
    if not depth_figure(points, options.output / "depth.png"):
        console.print("no plot: matplotlib is not installed (pip install 'rungwise[bench]')", markup=False)


def _in_a_fresh_process(series: str, depth: int, quick: bool) -> dict:
    command = [sys.executable, "-m", "benchmarks.depth", "--one", series, str(depth), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure(series: str, depth: int, quick: bool) -> dict:
    """Fit once, in this process, and return seconds, bytes and whether all labels were learned."""
    import time

    import numpy as np

    from rungwise import RungwiseClassifier
    from rungwise.datasets import make_parity

    n = N_EXAMPLES // 2 if quick else N_EXAMPLES
    if series == SAME_SIZE:
        X, Y = parallel_chains(n, N_INPUTS, N_LABELS // 5 if quick else N_LABELS, depth)
    else:
        X, Y, _ = make_parity(n, depth + 1, random_state=0)
    # So that what every fit loads once is there at the start.
    RungwiseClassifier(features="sparse", random_state=0).fit(*make_parity(n, 3, random_state=0)[:2])
    start = peak_memory()
    began = time.perf_counter()
    fitted = RungwiseClassifier(features="sparse", random_state=0).fit(X, Y)
    seconds = time.perf_counter() - began
    peak = peak_memory()
    return {
        "series": series,
        "kind": series,
        "depth": depth,
        "blocks": fitted.n_blocks_,
        "labels": Y.shape[1],
        "seconds": seconds,
        "start bytes": start,
        "peak bytes": peak,
        "fit bytes": peak - start,
        "stream bytes": int(fitted.standardizer_.transform(X).itemsize * len(X) * (X.shape[1] + Y.shape[1])),
        "wrong values": int((fitted.predict(X) != Y).sum()),
        "levels": int(np.max(fitted.hierarchy_.level)),
    }


def parallel_chains(n: int, n_inputs: int, n_labels: int, depth: int) -> tuple:
    """Return X and Y, {0, 1}, of chains of parities of this length, so many that there are at least ``n_labels``.

    Every label is the parity of the label before it and an input, never the one that was read just before.
    """
    import numpy as np

    from rungwise.theory.boolean import parity
    from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction

    rng = np.random.default_rng(0)
    functions: list[LabelFunction] = []
    for _ in range(-(-n_labels // depth)):
        before, read = rng.choice(n_inputs, 2, replace=False).tolist()
        for _ in range(depth):
            functions.append(LabelFunction(f"label_{len(functions)}", (before, read), parity(2), "parity"))
            before = n_inputs + len(functions) - 1
            read = (read + int(rng.integers(1, n_inputs))) % n_inputs
    model = HierarchicalModel(n_inputs, functions).permuted(rng.permutation(len(functions)))
    X = np.where(rng.random((n, n_inputs)) < 0.5, 1.0, -1.0).astype(np.float32)
    return X, (model(X) > 0).astype(np.int8)


def fitted_slopes(points: list[dict], series: str) -> dict[str, float]:
    """Return slopes on the log-log scale, over the number of blocks, of seconds and of the memory that the fit adds."""
    import numpy as np

    own = [point for point in points if point["series"] == series]
    blocks = np.log([point["blocks"] for point in own])
    # What is below a mebibyte is one page more or less.
    return {
        key: float(np.polyfit(blocks, np.log([max(point[key], least) for point in own]), 1)[0])
        for key, least in (("seconds", 1e-3), ("fit bytes", 2**20))
    }


def verdicts(same_size: dict[str, float], one_a_level: dict[str, float]) -> list[tuple[str, float, float | None]]:
    """Return (what, slope, its limit or None)."""
    return [
        (f"{SAME_SIZE}, seconds over blocks", same_size["seconds"], 1.0),
        (f"{SAME_SIZE}, memory of the fit over blocks", same_size["fit bytes"], 0.0),
        (f"{ONE_A_LEVEL}, seconds over blocks", one_a_level["seconds"], None),
        (f"{ONE_A_LEVEL}, memory of the fit over blocks", one_a_level["fit bytes"], 1.0),
    ]


def points_table(points: list[dict]) -> Table:
    """Return every measurement."""
    table = Table(title="Time and memory against depth", title_justify="left")
    columns = ("series", "depth", "labels", "blocks", "wrong", "s", "s a block", "start MiB", "peak MiB", "stream MiB")
    for column in columns:
        table.add_column(column, justify="left" if column == "series" else "right")
    for point in points:
        table.add_row(
            point["series"],
            *(str(point[key]) for key in ("depth", "labels", "blocks", "wrong values")),
            f"{point['seconds']:.2f}",
            f"{point['seconds'] / max(1, point['blocks']):.4f}",
            *(f"{point[key] / 2**20:.1f}" for key in ("start bytes", "peak bytes", "stream bytes")),
        )
    return table


def depth_figure(points: list[dict], path: Path) -> bool:
    """Plot seconds and peak memory against blocks; return whether there is matplotlib to do so."""
    from benchmarks._plots import new_figure, save, scatter

    drawn = new_figure(2)
    if drawn is None:
        return False
    figure, (left, right) = drawn
    scatter(left, points, "blocks", "seconds", None)
    left.set(xlabel="blocks", ylabel="fit, s")
    mebibytes = [{**p, "peak MiB": p["peak bytes"] / 2**20, "fit MiB": p["fit bytes"] / 2**20} for p in points]
    scatter(right, mebibytes, "blocks", "peak MiB", None)
    scatter(right, mebibytes, "blocks", "fit MiB", None, filled=False)
    right.set(xlabel="blocks", ylabel="peak memory, MiB (hollow: what the fit adds)")
    save(figure, (left, right), path)
    return True


if __name__ == "__main__":
    main()
