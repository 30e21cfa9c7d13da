"""Circuits as lists of gates, and the ``.bench`` format in which the ISCAS-85 and ISCAS-89 circuits are passed around.

A combinational circuit is a hierarchical model: each gate is a label, and its level is the gate's logical depth.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from rungwise.datasets._bench_format import BenchReader
from rungwise.datasets._logic import LogicGate
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction


@dataclass(frozen=True)
class Netlist:
    """A combinational circuit; ``parse_netlist`` and ``read_netlist`` make one, and check it.

    Parameters
    ----------
    input_names : tuple of str
        The signals that no gate computes.
    output_names : tuple of str
        Which signals the circuit is there to compute; each is a gate, or (rarely) an input.
    gates : tuple of LogicGate, at least one
        All gates, in any order; no signal twice, and no circle.
    """

    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    gates: tuple[LogicGate, ...]

    def to_model(self) -> HierarchicalModel:
        """Return the model with one label for each gate, in the order of ``gates``, named after its signal.

        A gate reads each signal once there: see ``make_circuit`` for what becomes of a signal that is listed twice.

        Raises
        ------
        ValueError
            If there is no gate, a name occurs twice or the gates depend on one another in a circle.
        """
        names = [*self.input_names, *(gate.name for gate in self.gates)]
        index_in_stream = {name: index for index, name in enumerate(names)}
        functions = []
        for gate in self.gates:
            simple = gate.simplified()
            parents = tuple(index_in_stream[source] for source in simple.sources)
            functions.append(LabelFunction(gate.name, parents, gate.function(), simple.kind))
        return HierarchicalModel(len(self.input_names), functions, self.input_names)


def parse_netlist(text: str) -> Netlist:
    """Parse a circuit in the ``.bench`` format.

    One statement to a line; ``#`` starts a comment. Statements may be in any order. Keywords may be in any letter case,
    names of signals (all but spaces and ``,()=#``) are taken as they are::

        INPUT(a)              # a is an input
        OUTPUT(y)             # y is an output
        y = NAND(a, b, c)     # AND, NAND, OR, NOR, XOR, XNOR of one signal or more, NOT and BUFF (or BUF) of one
        q = DFF(y)            # a flip-flop

    XOR is true if an odd number of its signals is, and XNOR is its complement. What a flip-flop (ISCAS-89) holds was
    computed in the clock cycle before. The netlist is that of one cycle, the combinational core: a flip-flop's output
    becomes an input, after the others; its input is a signal like any other.

    Parameters
    ----------
    text : str
        The netlist itself; ``read_netlist`` takes a file.

    Returns
    -------
    netlist : Netlist
        Inputs, outputs and gates in the order of the text.

    Raises
    ------
    ValueError
        If the text is not a netlist in this format, has no gate, or has a signal that is never defined, defined twice
        or depends on itself. The message names the line.

    Examples
    --------
    >>> netlist = parse_netlist('''
    ... INPUT(a)
    ... INPUT(b)
    ... OUTPUT(differ)
    ... differ = XOR(a, b)
    ... ''')
    >>> netlist.input_names, netlist.output_names, netlist.to_model().parents("differ")
    (('a', 'b'), ('differ',), ['a', 'b'])
    """
    reader = BenchReader()
    for number, line in enumerate(text.splitlines(), start=1):
        statement = line.split("#", maxsplit=1)[0].strip()
        if statement:
            reader.read(number, statement)
    reader.check()
    return Netlist(
        input_names=(*reader.inputs, *reader.flip_flops),
        output_names=tuple(reader.outputs),
        gates=tuple(reader.gates),
    )


def read_netlist(path: str | os.PathLike) -> Netlist:
    """Read a circuit from a ``.bench`` file; see ``parse_netlist`` for the format.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    netlist : Netlist

    Raises
    ------
    OSError
        If the file cannot be read: FileNotFoundError, PermissionError and so on.
    ValueError
        If its content is not a netlist; the message names the line.
    """
    try:
        # Only comments hold anything beyond ASCII as a rule, in whatever encoding their authors had.
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise type(error)(
            f"the netlist must be a readable .bench file (parse_netlist takes its text), however: "
            f"path={os.fspath(path)!r}: {error.strerror}"
        ) from error
    try:
        return parse_netlist(text)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
