"""Statements of the ``.bench`` format, and the checks that need the whole netlist. Every message names its line."""

import re
from graphlib import CycleError, TopologicalSorter
from typing import NoReturn

from rungwise.datasets._logic import LogicGate

# What the format calls a gate -> what rungwise calls it. DFF, the flip-flop, is not among them: it is no function.
_KINDS = {
    "AND": "and",
    "NAND": "nand",
    "OR": "or",
    "NOR": "nor",
    "XOR": "parity",
    "XNOR": "xnor",
    "NOT": "not",
    "BUF": "buffer",
    "BUFF": "buffer",
}
_OF_ONE_SIGNAL = ("INPUT", "OUTPUT", "NOT", "BUF", "BUFF", "DFF")

_SIGNAL = r"[^\s,()=#]+"
_STATEMENT = re.compile(
    rf"(?:(?P<name>{_SIGNAL})\s*=\s*)?(?P<keyword>{_SIGNAL})\s*"
    rf"\(\s*(?P<signals>(?:{_SIGNAL}(?:\s*,\s*{_SIGNAL})*)?)\s*\)"
)


class BenchReader:
    """Takes a netlist statement by statement.

    Attributes
    ----------
    inputs, outputs : list of str
    flip_flops : dict
        Output -> input of each flip-flop.
    gates : list of LogicGate
    """

    def __init__(self) -> None:
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.flip_flops: dict[str, str] = {}
        self.gates: list[LogicGate] = []
        self._defined_in: dict[str, int] = {}
        self._first_use: dict[str, int] = {}

    def read(self, line: int, statement: str) -> None:
        """Take one statement, without comment, from line number ``line``.

        Raises
        ------
        ValueError
            If it is no statement, or defines a signal for the second time.
        """
        match = _STATEMENT.fullmatch(statement)
        keyword = match["keyword"].upper() if match else ""
        if match is None or (match["name"] is None) != (keyword in ("INPUT", "OUTPUT")):
            _refuse(line, f"a statement must be INPUT(a), OUTPUT(a) or y = GATE(a, b, …), however: {statement!r}")
        name, signals = match["name"], tuple(re.findall(_SIGNAL, match["signals"]))
        if name is not None and keyword not in (*_KINDS, "DFF"):
            known = ", ".join(sorted([*_KINDS, "DFF"]))
            _refuse(line, f"a gate must be one of {known}, however: {match['keyword']!r}")
        if keyword in _OF_ONE_SIGNAL and len(signals) != 1:
            _refuse(line, f"{keyword} must have exactly one signal in its parentheses, however: {statement!r}")
        if not signals:
            _refuse(line, f"{keyword} must have at least one signal in its parentheses, however: {statement!r}")

        if keyword == "INPUT":
            self._define(line, signals[0])
            self.inputs.append(signals[0])
            return
        for signal in signals:
            self._first_use.setdefault(signal, line)
        if keyword == "OUTPUT":
            if signals[0] not in self.outputs:  # some circuits in circulation list an output twice
                self.outputs.append(signals[0])
            return
        self._define(line, name)
        if keyword == "DFF":
            self.flip_flops[name] = signals[0]
        else:
            self.gates.append(LogicGate(name, _KINDS[keyword], signals))

    def _define(self, line: int, signal: str) -> None:
        first = self._defined_in.setdefault(signal, line)
        if first != line:
            _refuse(line, f"a signal must be defined once, however: {signal!r} is defined in line {first} already")

    def check(self) -> None:
        """Check what only the whole netlist shows.

        Raises
        ------
        ValueError
            If there is no gate, a signal is used but never defined, or gates depend on one another in a circle.
        """
        if not self.gates:
            raise ValueError(
                "a netlist must have at least one gate, such as 'y = NAND(a, b)', however: it has "
                f"{len(self.inputs)} inputs, {len(self.outputs)} outputs, {len(self.flip_flops)} flip-flops and no gate"
            )
        for signal, line in self._first_use.items():
            if signal not in self._defined_in:
                _refuse(line, f"a signal must be an INPUT or be computed somewhere, however: {signal!r} is not")
        try:
            TopologicalSorter({gate.name: gate.sources for gate in self.gates}).prepare()
        except CycleError as error:
            circle = error.args[1]
            line = min(self._defined_in[signal] for signal in circle)
            _refuse(
                line,
                "gates must not depend on one another in a circle (unless a DFF is part of it), "
                f"however: {' -> '.join(circle)}",
            )


def _refuse(line: int, message: str) -> NoReturn:
    # Without the exception that was being handled, if any: it would only repeat the message.
    raise ValueError(f"line {line}: {message}") from None
