"""Half and full adders as lists of gates, the cells of which adders and multipliers are made.

A full adder takes three bits of the same weight and gives their sum, of that weight, and a carry of the next one. A
half adder takes two. Signals inside a cell are named after what they say and the cell's place.
"""

from collections.abc import Callable

from rungwise.datasets._logic import LogicGate


def half_adder(place: str, a: str, b: str, total: str, carry: str) -> list[LogicGate]:
    """Return a half adder of an exclusive or and an and: 2 gates, of depth 1.

    Parameters
    ----------
    place : str
        What the names of inner signals end in; unused here, for the sake of one signature.
    a, b : str
        The signals to be added.
    total, carry : str
        Names of the sum and of the carry.

    Returns
    -------
    gates : list of LogicGate
    """
    return [LogicGate(total, "parity", (a, b)), LogicGate(carry, "and", (a, b))]


def full_adder(place: str, a: str, b: str, c: str, total: str, carry: str) -> list[LogicGate]:
    """Return a full adder of two half adders and an or: 5 gates, 3 deep from ``a`` and ``b`` and 2 from ``c``.

    See ``half_adder`` for the parameters; ``c`` is the third signal to be added.
    """
    differ, generated, propagated = f"differ_{place}", f"generated_{place}", f"propagated_{place}"
    return [
        LogicGate(differ, "parity", (a, b)),
        LogicGate(generated, "and", (a, b)),
        LogicGate(total, "parity", (differ, c)),
        LogicGate(propagated, "and", (differ, c)),
        LogicGate(carry, "or", (generated, propagated)),
    ]


def half_adder_of_nors(place: str, a: str, b: str, total: str, carry: str) -> list[LogicGate]:
    """Return a half adder of 5 nors and a not, 5 deep; see ``half_adder`` for the parameters."""
    equal, neither = f"equal_{place}", f"neither_{place}"
    return [
        *_equality_of_nors(place, a, b),
        LogicGate(total, "not", (equal,)),
        LogicGate(carry, "nor", (neither, total)),
    ]


def full_adder_of_nors(place: str, a: str, b: str, c: str, total: str, carry: str) -> list[LogicGate]:
    """Return a full adder of 9 nors, 6 deep from ``a`` and ``b`` and 3 from ``c``; see ``full_adder``."""
    equal, neither = f"equal_{place}", f"neither_{place}"
    differ_alone, differ_and_c, c_alone = f"differ_alone_{place}", f"differ_and_carry_{place}", f"carry_alone_{place}"
    return [
        *_equality_of_nors(place, a, b),
        LogicGate(differ_alone, "nor", (equal, c)),
        LogicGate(differ_and_c, "nor", (equal, differ_alone)),
        LogicGate(c_alone, "nor", (c, differ_alone)),
        LogicGate(total, "nor", (differ_and_c, c_alone)),
        LogicGate(carry, "nor", (neither, differ_alone)),
    ]


def _equality_of_nors(place: str, a: str, b: str) -> list[LogicGate]:
    neither, only_a, only_b = f"neither_{place}", f"only_first_{place}", f"only_second_{place}"
    return [
        LogicGate(neither, "nor", (a, b)),
        LogicGate(only_a, "nor", (neither, b)),
        LogicGate(only_b, "nor", (neither, a)),
        LogicGate(f"equal_{place}", "nor", (only_a, only_b)),
    ]


AdderCell = Callable[..., list[LogicGate]]

CELLS: dict[str, tuple[AdderCell, AdderCell]] = {
    "nor": (half_adder_of_nors, full_adder_of_nors),
    "and_or_xor": (half_adder, full_adder),
}
"""Half and full adder by the gates that they are made of."""
