"""Real multi-label sets, ours beside its peers: python -m benchmarks.real.

Training and validation rows to learn from, the standard test rows to be judged on. Every learner has one setting for
all sets; each run, a learner on a set with a seed, is a process of its own, which is ended when its time is up. With
--training-rows a third of the training rows is judged on instead, another one for each seed: to choose settings by.

The sets are files in the folder that RUNGWISE_DATA names, else in ../shared/data beside the checkout: six of them, or
those that --sets names. `rungwise/datasets/_local_sets.py` tells what a file holds. Runs are kept as they come, so that
an interrupted command goes on where it was.
"""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

# Nothing heavy up here: on Linux the peak of a process is at least that of the process which started it.
from benchmarks._ranks import ranks_figure
from benchmarks._real_learners import LEARNERS
from benchmarks._real_runs import OK, RunFile, measure, run
from benchmarks._real_sets import QUICK_SETS, REAL_SETS, TRAINING_ROWS, use_data_folder
from benchmarks._real_tables import markdown, means, ranks


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=REAL_SETS, help="files of the folder, without .npz")
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS), help="only these")
    parser.add_argument("--seeds", type=int, default=3, help="so many runs of each learner on each set")
    parser.add_argument("--limit", type=float, default=1200, help="seconds after which a run is ended")
    parser.add_argument("--quick", action="store_true", help="small generated sets, one seed")
    parser.add_argument("--training-rows", action="store_true", help="leave the test rows alone")
    parser.add_argument("--fresh", action="store_true", help="run again what has been run before")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder of real.json, .md, .png")
    parser.add_argument("--one", nargs=3, metavar=("SET", "LEARNER", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        data, learner, seed = options.one
        print(json.dumps(measure(data, learner, int(seed))))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    sets, without_file = (list(QUICK_SETS), []) if options.quick else _sets_with_files(options.sets)
    if options.training_rows:
        sets = [name + TRAINING_ROWS for name in sets]
    learners = [name for name in options.learners if LEARNERS[name].installed]
    skipped = without_file + [
        f"{name}: skipped, {LEARNERS[name].package} is not installed (pip install 'rungwise[bench]')"
        for name in options.learners
        if name not in learners
    ]
    for line in skipped:
        print(line, flush=True)
    runs = RunFile(options.out / "real-runs.jsonl")
    wanted: list[tuple[str, str, int]] = []
    for seed in range(1 if options.quick else options.seeds):
        of_seed = [(data, learner, seed) for data in sets for learner in learners]
        wanted += of_seed
        for data, learner, _ in of_seed:
            if options.fresh or not runs.knows(data, learner, seed, options.limit):
                runs.add(run(data, learner, seed, options.limit))
                print(_progress(runs.runs[data, learner, seed]), flush=True)
        # After every seed, not only at the end: what is there can be read.
        _write(options.out, [runs.runs[key] for key in wanted], sets, skipped)
    print((options.out / "real.md").read_text())


def _sets_with_files(names: Sequence[str]) -> tuple[list[str], list[str]]:
    folder = use_data_folder()
    found = [name for name in names if (folder / f"{name}.npz").is_file()]
    missing = [f"{name}: skipped, {folder} has no {name}.npz" for name in names if name not in found]
    return found, missing


def _progress(result: dict) -> str:
    name = f"{result['set']}, seed {result['seed']}, {result['learner']}:"
    if result["state"] != OK:
        return f"{name} {result['state']}, {result['remark']}"
    return (
        f"{name} micro AP {result['micro AP']:.3f}, exact {result['exact']:.3f}, Hamming {result['Hamming']:.4f}, "
        f"fit {result['fit s']:.1f} s"
    )


def _write(out: Path, runs: list[dict], sets: list[str], skipped: list[str]) -> None:
    table = means(runs)
    by_measure, difference = ranks(table, sets)
    if by_measure and not ranks_figure(by_measure, difference, out / "real.png"):
        print("no plot: matplotlib is not installed (pip install 'rungwise[bench]')", flush=True)
    (out / "real.md").write_text(markdown(table, sets, skipped))
    content = {
        "machine": {"processor": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()},
        "runs": runs,
        "means": [{"set": data, "learner": learner, **row} for (data, learner), row in table.items()],
        "mean ranks": by_measure,
        "critical difference": None if not by_measure else difference,
        "skipped": skipped,
    }
    (out / "real.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
