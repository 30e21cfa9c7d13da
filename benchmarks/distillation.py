"""What hints of a large network are worth to a small one that sees few rows: python -m benchmarks.distillation.

A network of three layers of 512 units learns from all training rows. Students see some of these rows and what the
teacher makes of them: its decisions, its scores, or also what goes on in its layers. All see the same rows; nothing was
chosen on test rows. "error" is the share of test rows, or of test labels where a row has several, that are told wrong;
"disagreement" the share that the teacher tells otherwise. The number of parameters is that of a small network of one
width, so that students of one width are of one size; `RungwiseClassifier`'s counts frozen weights, too.

At the fewest rows, the error with graded hints is to be at most 0.8 of that of the best other student, of any width,
on two of three tasks. One student is a control and not among these: the same hints, learned by gradient descent.

Runs are kept in distillation-runs.jsonl: an interrupted command goes on, --fresh starts over.
"""

import argparse
import json
import math
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks._distillation_tasks import TASKS, Task, load_task, train_teacher
from benchmarks._plots import new_figure, save
from benchmarks._real_runs import OK, RunFile
from benchmarks._students import CONTROL, OURS, STUDENTS, Lesson

BUDGETS, WIDTHS, SEEDS, TEACHER_STEPS = (50, 100, 200, 400, 800), (64, 128), 3, 1500
FLOOR = 0.8
# Not students that one would choose from: the hinted ones, and the control.
NO_RIVALS = (OURS, CONTROL)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="digits, few rows, a teacher that learns for a short time")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, help="these only")
    parser.add_argument("--fresh", action="store_true", help="forget earlier runs")
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of distillation.json")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console() if Console().is_terminal else Console(width=120)
    path = options.output / f"distillation-{'quick-' if options.quick else ''}runs.jsonl"
    if options.fresh:
        path.unlink(missing_ok=True)
    file = RunFile(path)
    for name in options.tasks or (["digits"] if options.quick else TASKS):
        try:
            task = load_task(name)
        except (FileNotFoundError, ValueError) as problem:
            console.print(f"{name}: not there ({problem})", markup=False)
            continue
        with console.status(name):
            run_task(name, task, file, options.quick)
    runs = list(file.runs.values())
    for name in dict.fromkeys(run["task"] for run in runs):
        console.print(task_table(name, runs))
    verdicts = [verdict(name, runs) for name in dict.fromkeys(run["task"] for run in runs)]
    for found in verdicts:
        state = "met" if found["ratio"] <= FLOOR else "MISSED"
        console.print(
            f"{found['task']}, {found['rows']} rows: {found['ours']:.4f} with graded hints, {found['best']:.4f} with "
            f"{found['rival']}: ratio {found['ratio']:.2f} (at most {FLOOR}: {state}); control {found['control']:.4f}",
            highlight=False,
        )
    content = {"quick": options.quick, "verdicts": verdicts, "runs": runs}
    (options.output / "distillation.json").write_text(json.dumps(content, indent=1) + "\n")
    if not figure(runs, options.output / "distillation.png"):
        console.print("no plot: matplotlib is not installed (pip install 'rungwise[bench]')", markup=False)


def run_task(name: str, task: Task, file: RunFile, quick: bool) -> None:
    """Let every student learn from every number of rows, with every seed, that is not in the file."""
    budgets, widths, seeds = (BUDGETS[:2], WIDTHS[:1], 1) if quick else (BUDGETS, WIDTHS, SEEDS)
    missing = [
        (n_rows, seed, student, width)
        for n_rows in budgets
        if n_rows <= len(task.X)
        for seed in range(seeds)
        for student, (_, has_width) in STUDENTS.items()
        for width in (widths if has_width else (None,))
        if not file.knows(f"{name}, {n_rows} rows", _shown(student, width), seed, math.inf)
    ]
    if not missing:
        return
    teacher = train_teacher(task, TEACHER_STEPS // 10 if quick else TEACHER_STEPS)
    with torch.no_grad():
        told = task.decide(teacher(torch.from_numpy(task.X_test)).numpy())
    truth = task.decide(task.Y_test - 0.5)
    for n_rows, seed, student, width in missing:
        rows = np.random.default_rng(seed).permutation(len(task.X))[:n_rows]
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows come from few images, and classes are missing
            scores, size = STUDENTS[student][0](Lesson(task, teacher, rows, width or 0, seed))
        seconds = time.perf_counter() - began
        decided = task.decide(scores(task.X_test))
        result = {
            "set": f"{name}, {n_rows} rows",
            "learner": _shown(student, width),
            "seed": seed,
            "state": OK,
            "task": name,
            "rows": n_rows,
            "student": student,
            "width": width,
            "parameters": size,
            "error": float((decided != truth).mean()),
            "disagreement": float((decided != told).mean()),
            "teacher error": float((told != truth).mean()),
            "seconds": seconds,
        }
        file.add(result)


def _shown(student: str, width: int | None) -> str:
    return student if width is None else f"{student}, {width}"


def mean_of(runs: list[dict], key: str, **wanted: object) -> float:
    """Return the mean of a measurement over the runs with these properties; NaN if there are none."""
    found = [run[key] for run in runs if all(run[name] == value for name, value in wanted.items())]
    return float(np.mean(found)) if found else math.nan


def verdict(task: str, runs: list[dict]) -> dict:
    """Return ours, of the larger width, and the best rival of any width, at the fewest rows."""
    fewest = min(run["rows"] for run in runs if run["task"] == task)
    own = [run for run in runs if run["task"] == task and run["rows"] == fewest]
    errors = {name: mean_of(own, "error", learner=name) for name in dict.fromkeys(run["learner"] for run in own)}
    students = {run["learner"]: run["student"] for run in own}
    rivals = {name: error for name, error in errors.items() if students[name] not in NO_RIVALS}
    rival = min(rivals, key=rivals.__getitem__)
    width = max(run["width"] for run in own if run["student"] == OURS)
    ours, control = errors[f"{OURS}, {width}"], errors[f"{CONTROL}, {width}"]
    best = rivals[rival]
    return {
        "task": task,
        "rows": fewest,
        "ours": ours,
        "rival": rival,
        "best": best,
        "ratio": ours / best if best else math.inf,
        "control": control,
    }


def task_table(task: str, runs: list[dict]) -> Table:
    """Return a row for each student: its size, and its error for each number of rows, disagreement in brackets."""
    own = [run for run in runs if run["task"] == task]
    budgets = sorted({run["rows"] for run in own})
    title = f"{task}: error on test rows (disagreement with the teacher, whose error is {own[0]['teacher error']:.4f})"
    table = Table(title=title, title_justify="left")
    for column in ("student, width", "parameters", *(f"{n} rows" for n in budgets), "s"):
        table.add_column(column, justify="left" if column == "student, width" else "right")
    for learner in dict.fromkeys(run["learner"] for run in own):
        cells = [
            f"{mean_of(own, 'error', learner=learner, rows=n):.3f} "
            f"({mean_of(own, 'disagreement', learner=learner, rows=n):.3f})"
            for n in budgets
        ]
        sizes = [run["parameters"] for run in own if run["learner"] == learner]
        size = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
        table.add_row(learner, size, *cells, f"{mean_of(own, 'seconds', learner=learner):.1f}")
    return table


def figure(runs: list[dict], path: Path) -> bool:
    """Plot errors against rows, a panel for each task; return whether there is matplotlib to do so."""
    tasks = list(dict.fromkeys(run["task"] for run in runs))
    drawn = new_figure(len(tasks))
    if drawn is None:
        return False
    canvas, panels = drawn
    largest = max(run["width"] or 0 for run in runs)
    for panel, task in zip(panels, tasks, strict=True):
        own = [run for run in runs if run["task"] == task and run["width"] in (largest, None)]
        budgets = sorted({run["rows"] for run in own})
        for number, student in enumerate(STUDENTS):
            errors = [mean_of(own, "error", student=student, rows=n) for n in budgets]
            line = "-" if student == OURS else "--" if student.startswith("rungwise") else ":"
            panel.plot(budgets, errors, f"o{line}", color=f"C{number}", label=student, markersize=4)
        panel.axhline(own[0]["teacher error"], color="k", linewidth=1, label="teacher")
        panel.set(title=f"{task}, students of {largest} units a layer", xlabel="rows", ylabel="error on test rows")
    save(canvas, panels, path)
    return True


if __name__ == "__main__":
    main()
