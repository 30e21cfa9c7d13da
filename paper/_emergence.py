"""The hierarchy that hints of a small circuit form for certain: every input is enumerated, linear programs decide."""

from collections.abc import Sequence

import numpy as np

from paper._markdown import markdown_table
from rungwise.teacher import CircuitTeacher
from rungwise.theory import certify_brain_dump, draw_hint_weights

N_LAYERS, FAN_IN, K = 3, 3, 3
N_CIRCUITS = 3
MULTIPLES = ("d", "2d", "d²")


def certify_small_circuits(widths: Sequence[int], seed: int) -> list[dict]:
    """Certify circuits of layers of d neurons over d bits, for d of some widths, with d, 2d and d² hints of each layer.

    Returns
    -------
    found : list of dict
        For each width and number of hints, the norms M of those circuits whose hints are polynomial threshold functions
        of degree 3 of the hints of the layer below.
    """
    found = []
    for d in widths:
        for multiple, q in zip(MULTIPLES, (d, 2 * d, d * d), strict=True):
            norms = (_norm(d, q, [seed, number]) for number in range(N_CIRCUITS))
            found.append({"d": d, "column": multiple, "hints": q, "M": [norm for norm in norms if norm is not None]})
    return found


def _norm(d: int, q: int, seed: list[int]) -> float | None:
    """Return the norm M of the hierarchy of a circuit's hints, or None if they form none."""
    rng = np.random.default_rng(seed)
    teacher = CircuitTeacher.random(d, N_LAYERS, d, FAN_IN, random_state=rng)
    weights = [draw_hint_weights(q, d, K, rng) for _ in range(N_LAYERS)]
    try:
        return certify_brain_dump(teacher.model, weights, FAN_IN).M
    except ValueError as error:
        if "threshold function" not in str(error):
            raise
        return None


def emergence_table(found: list[dict]) -> str:
    """Return a table with a row for each width: how many circuits, and the largest M of these."""
    rows: dict[int, list[str]] = {}
    for point in found:
        norms = point["M"]
        cell = f"{len(norms)} of {N_CIRCUITS}" + (f", M = {max(norms):.2f}" if norms else "")
        rows.setdefault(point["d"], []).append(cell)
    return markdown_table(("hints of each layer", *MULTIPLES), [[f"d = {d}", *cells] for d, cells in rows.items()])
