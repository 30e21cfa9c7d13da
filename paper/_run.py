"""Run one claim and write its files: NAME.json, NAME.png and NAME.md.

A claim is a module of this folder whose name does not begin with an underscore. Its docstring states the claim, with
the section of the paper and the assumptions; and it has

    TITLE: str
    measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict    numbers and settings, ready for JSON
    draw(result: dict, figure: matplotlib.figure.Figure) -> None
    describe(result: dict) -> str    what was tested, the numbers, and where the theorem assumes something else

``draw`` and ``describe`` read nothing but the result as the file has it. Where there is no number it says None.
"""

import importlib
import json
import pkgutil
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

import rungwise

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


@dataclass(frozen=True)
class Outcome:
    """What a claim left behind.

    Attributes
    ----------
    name, title : str
    paragraph : str
        Markdown.
    seconds : float
        Of the measurement.
    drawn : bool
        Whether there is a picture; without matplotlib there is none.
    """

    name: str
    title: str
    paragraph: str
    seconds: float
    drawn: bool


def claim_names() -> list[str]:
    """Return the names of all claims, in alphabetical order."""
    names = (module.name for module in pkgutil.iter_modules([str(FOLDER)]))
    return sorted(name for name in names if not name.startswith("_"))


def find_claim(name: str) -> ModuleType:
    """Return the module of a claim.

    Raises
    ------
    ValueError
        If there is no claim of this name.
    """
    if name not in claim_names():
        raise ValueError(f"a claim must be one of {', '.join(claim_names())}, however: {name!r}")
    return importlib.import_module(f"paper.{name}")


def run_claim(
    name: str, claim: ModuleType, folder: Path, *, quick: bool, seed: int, report: Callable[[str], None]
) -> Outcome:
    """Measure a claim and write its files into a folder, which is made if need be."""
    began = time.perf_counter()
    measured = claim.measure(quick, seed, report)
    seconds = time.perf_counter() - began
    content = {
        "claim": name,
        "title": claim.TITLE,
        "quick": quick,
        "seed": seed,
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "rungwise": rungwise.__version__,
        },
        "result": measured,
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    result = json.loads(text)["result"]
    paragraph = claim.describe(result)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text)
    drawn = _draw(claim, result, folder / f"{name}.png")
    picture = f"\n![{claim.TITLE}]({name}.png)\n" if drawn else ""
    (folder / f"{name}.md").write_text(f"# {claim.TITLE}\n\n{paragraph}\n{picture}")
    return Outcome(name, claim.TITLE, paragraph, seconds, drawn)


def _draw(claim: ModuleType, result: dict, path: Path) -> bool:
    """Write the picture; return whether there is matplotlib to do so."""
    try:
        from matplotlib.figure import Figure  # draws without a display, and leaves no global state
    except ImportError:
        return False
    figure = Figure(layout="constrained")
    claim.draw(result, figure)
    figure.savefig(path, dpi=120)
    return True
