"""To be written."""

from collections.abc import Callable
from typing import Any

TITLE = "What it costs to learn: examples, width and blocks"


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    return {}


def draw(result: dict, figure: Any) -> None:
    figure.subplots()


def describe(result: dict) -> str:
    return "Not measured yet."
