"""The paper's claims, measured: python -m paper [--quick] [--only NAME ...].

For each claim NAME.json, NAME.png and NAME.md, a paragraph of what was tested, are written into the output folder, and
the paragraph is printed. The paper itself (arXiv 2601.00455) is pure theory.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from paper._run import RESULTS, Outcome, claim_names, find_claim, run_claim


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m paper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: all claims in under 5 minutes on 2 cores")
    parser.add_argument(
        "--only", nargs="+", choices=claim_names(), default=[], metavar="NAME", help=", ".join(claim_names())
    )
    parser.add_argument("--output", type=Path, help="folder of the results (default: paper/results; quick: its quick/)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    run(quick=options.quick, only=options.only, output=options.output, seed=options.seed)


def run(*, quick: bool = False, only: list[str] | None = None, output: Path | None = None, seed: int = 0) -> None:
    """Measure the named claims, or all of them, one after another; print what each found, and write its files."""
    claims = {name: find_claim(name) for name in only or claim_names()}
    folder = output or (RESULTS / "quick" if quick else RESULTS)
    console = Console() if Console().is_terminal else Console(width=120)
    outcomes = []
    for place, (name, claim) in enumerate(claims.items(), 1):
        heading = f"{place} of {len(claims)}: {claim.TITLE}"
        with console.status(heading) as status:
            outcome = run_claim(
                name,
                claim,
                folder,
                quick=quick,
                seed=seed,
                report=lambda what, heading=heading, status=status: status.update(f"{heading}: {what}"),
            )
        console.print(Markdown(f"# {outcome.title}\n\n{outcome.paragraph}"))
        outcomes.append(outcome)
    console.print(_summary(outcomes, folder))
    if not all(outcome.drawn for outcome in outcomes):
        console.print("no pictures: matplotlib is not installed (pip install 'rungwise[bench]')", markup=False)


def _summary(outcomes: list[Outcome], folder: Path) -> Table:
    table = Table("claim", "what", "seconds", title=f"Written to {folder}", title_justify="left")
    table.columns[-1].justify = "right"
    for outcome in outcomes:
        table.add_row(outcome.name, outcome.title, f"{outcome.seconds:.0f}")
    table.add_row("all", "", f"{sum(outcome.seconds for outcome in outcomes):.0f}")
    return table


if __name__ == "__main__":
    main()
