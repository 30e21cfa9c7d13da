"""The command `rungwise`: the estimator for tables on disk. Everything heavy is imported when a command needs it."""

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="Learn hard labels from easy ones, one residual block at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# Errors about what the user gave: their message says what to do, so a traceback would only hide it.
USER_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError)


class Features(StrEnum):
    """The names that the estimator takes; it is not asked for them, since the help does not wait for PyTorch."""

    AUTO = "auto"
    RANDOM = "random"
    SPARSE = "sparse"
    LINEAR = "linear"
    KERNEL = "kernel"
    LEARNED = "learned"
    TREES = "trees"
    BOOSTED = "boosted"


class Effort(StrEnum):
    """The efforts that the estimator takes."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


TablePath = Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .csv.gz or .parquet file.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A file written by `rungwise fit`.")]
Labels = Annotated[
    list[str],
    typer.Option(metavar="PATTERN", help="Label columns: a name or a wildcard such as 'verdict_*'; repeatable."),
]
Drop = Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Columns to leave out; repeatable.")]
Weight = Annotated[str | None, typer.Option(metavar="COLUMN", help="How much each row counts.")]
Group = Annotated[str | None, typer.Option(metavar="COLUMN", help="Rows of one group (subject, site) share a fold.")]
FeaturesName = Annotated[Features, typer.Option(metavar="|".join(Features), help="What a block sees.")]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, max=2**32 - 1, help="Makes the result repeatable.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]


def main() -> None:
    """Run the command: exit code 0, 1 with one line on stderr for bad input, 2 for bad usage, 130 after Ctrl-C."""
    try:
        app(prog_name="rungwise")
    except USER_ERRORS as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print("Error:", " ".join(str(message).split()), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        from rungwise import __version__

        print(f"rungwise {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Learn hard labels from easy ones, one residual block at a time."""


@app.command()
def fit(
    table: TablePath,
    labels: Labels,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="Where to save the model.")],
    drop: Drop = None,
    weight: Weight = None,
    group: Group = None,
    features: FeaturesName = Features.AUTO,
    effort: Annotated[
        Effort, typer.Option(metavar="|".join(Effort), help="How much --features auto tries: quick, or better.")
    ] = Effort.MEDIUM,
    coherent: Annotated[
        bool, typer.Option("--coherent", help="Predict no label without those that it implied in training.")
    ] = False,
    max_depth: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Most blocks; fewer if no label improves.")
    ] = None,
    seed: Seed = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train on a table and save the model.

    A label cell is 0/1, -1/1 or true/false, and empty where not annotated. Every column that is neither label, nor
    dropped, nor weight or group is a feature; categories and missing values are fine.
    """
    from rungwise.table_columns import take_apart
    from rungwise.table_files import check_output, read_table

    check_output(output, force, [table])
    parts = take_apart(read_table(table), labels, drop or (), weight, group)

    import rungwise

    model = rungwise.RungwiseClassifier(
        features=features.value,
        effort=effort.value,
        coherent=coherent,
        max_depth=max_depth,
        random_state=seed,
        device=device,
        verbose=0 if quiet else 1,
    )
    model.fit(parts.features, parts.labels, sample_weight=parts.weight, groups=parts.groups)
    rungwise.save(model, output, overwrite=force)
    if not quiet:
        _print_ladder(model.hierarchy_.to_frame())
        print(f"Saved the model to {output}")


@app.command()
def predict(
    model: ModelPath,
    table: TablePath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="A .csv, .csv.gz or .parquet file to write.")
    ],
    proba: Annotated[bool, typer.Option("--proba", help="Write probabilities instead of 0 and 1.")] = False,
    force: Force = False,
) -> None:
    """Predict every label for the rows of a table.

    The output has a column per label and the rows of the table in their order. Columns of the table that the model
    does not know, such as the labels themselves, are ignored.
    """
    from rungwise.table_files import check_table_output, read_table, write_table

    check_table_output(output, force, [model, table])

    import rungwise

    classifier = rungwise.load(model)
    encoder = getattr(classifier, "encoder_", None)
    rows = _known_columns(classifier, read_table(table, encoder.text_columns if encoder else ()), table)
    write_table(_predictions(classifier, rows, proba), output, force)
    print(f"Wrote predictions for {len(rows)} rows to {output}")


@app.command()
def value(
    table: TablePath,
    labels: Labels,
    target: Annotated[str, typer.Option(metavar="LABEL", help="The label that the others are to serve.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A table to write all columns to.")
    ] = None,
    drop: Drop = None,
    weight: Weight = None,
    group: Group = None,
    features: FeaturesName = Features.AUTO,
    effort: Annotated[
        Effort, typer.Option(metavar="|".join(Effort), help="How much --features auto tries: there are many fits.")
    ] = Effort.LOW,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Folds that errors are judged in.")] = 3,
    seed: Seed = None,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Print which labels are worth collecting, and on how many more rows.

    For each label: how much it lowers the error of the target on rows held out, when it is there in training.
    """
    from rungwise.table_columns import take_apart
    from rungwise.table_files import check_table_output, read_table, write_table

    if output is not None:
        check_table_output(output, force, [table])
    parts = take_apart(read_table(table), labels, drop or (), weight, group)

    import rungwise

    model = rungwise.RungwiseClassifier(
        features=features.value, effort=effort.value, random_state=seed, verbose=0 if quiet else 1
    )
    found = rungwise.label_value(
        model,
        parts.features,
        parts.labels,
        target=target,
        sample_weight=parts.weight,
        groups=parts.groups,
        n_splits=folds,
    )
    _print_values(found.frame, found.summary)
    if output is not None:
        write_table(found.frame, output, force)
        print(f"Wrote the values of {len(found.frame)} labels to {output}")


@app.command()
def levels(model: ModelPath) -> None:
    """Print the ladder that a model found.

    For each label: its level, the formula or else the labels that it stands on, its error on rows held out while
    training, and the error of predicting it by its frequency.
    """
    import rungwise

    _print_ladder(rungwise.load(model).hierarchy_.to_frame())


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the model and predictions go.")
    ] = Path("rungwise-demo"),
    force: Force = False,
) -> None:
    """Learn verdicts about pairs of hand-written digits.

    With and without knowing the digits, beside other learners; offline, in under a minute.
    """
    from rungwise.demo import run

    run(folder, force=force)


@app.command()
def paper(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: a few minutes for all claims.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="This claim; repeatable.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where results go, not paper/results.")
    ] = None,
) -> None:
    """Measure the claims of the paper, by the scripts in the folder paper/ of a checkout.

    Each writes its numbers, a picture and a paragraph of what was tested.
    """
    sys.path.insert(0, str(_find_checkout()))
    importlib.import_module("paper.__main__").run(quick=quick, only=only, output=output)


def _find_checkout() -> Path:
    """Return the folder with the paper's scripts: that of an editable install, else the current one."""
    candidates = [Path(__file__).parents[1], Path.cwd()]
    for folder in candidates:
        if (folder / "paper" / "__main__.py").is_file() and (folder / "pyproject.toml").is_file():
            return folder
    raise FileNotFoundError(
        "`rungwise paper` needs a checkout of the project, whose scripts are not part of the installed package, "
        f"however: there is none in {' or '.join(map(repr, map(str, candidates)))}; change into one"
    )


def _known_columns(classifier: Any, rows: "pd.DataFrame", path: Path) -> "pd.DataFrame":
    """Return the columns that the model was trained on, in its order."""
    if not hasattr(classifier, "feature_names_in_"):
        raise ValueError(
            "the model must be trained on a table, however: it was trained on an array without column names; predict "
            "in Python with rungwise.load(path).predict(X)"
        )
    names = [str(name) for name in classifier.feature_names_in_]
    missing = [name for name in names if name not in rows.columns]
    if missing:
        listing = ", ".join(map(repr, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise ValueError(
            f"the table must have the feature columns of the model, however: {str(path)!r} lacks {listing}; add or "
            f"rename columns"
        )
    return rows[names]


def _predictions(classifier: Any, rows: "pd.DataFrame", proba: bool) -> "pd.DataFrame":
    """Return a column per label."""
    import pandas as pd

    values = classifier.predict_proba(rows) if proba else classifier.predict(rows)
    return pd.DataFrame(values, columns=list(classifier.label_names_))


def _print_ladder(ladder: "pd.DataFrame") -> None:
    """Print one row per label, lowest level first, labels that were never learned last."""
    table = Table("label", "level", "stands on", "honest\nerror", "by\nfrequency", title="The ladder")
    for row in ladder.sort_values(
        "level", key=lambda level: level.where(level > 0, level.max() + 1), kind="stable"
    ).itertuples():
        level = str(row.level) if row.level > 0 else "never"
        stands_on = row.formula or ", ".join(row.parents)
        errors = f"{row.honest_error:.3f}", f"{row.frequency_error:.3f}"
        table.add_row(Text(str(row.label)), level, Text(stands_on), *errors)
    for column in table.columns:
        column.overflow = "fold"  # a name that is too wide breaks over lines: nothing is cut off
    Console().print(table)


def _print_values(values: "pd.DataFrame", summary: str) -> None:
    """Print one row per label, the most valuable first."""
    table = Table("label", "value", "alone", "with ancestors", "annotated", "worth annotating", title=summary)
    for row in values.to_dict("records"):
        cells = [f"{row[name]:.3f} ± {row[f'{name}_se']:.3f}" for name in ("value", "alone", "with_ancestors")]
        table.add_row(Text(str(row["label"])), *cells, f"{row['annotated']:,}", f"{row['worth_annotating']:,}")
    for column in table.columns:
        column.overflow = "fold"
    Console().print(table)
