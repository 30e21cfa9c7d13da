"""Data sets whose hierarchy of labels is known (``make_*``), and real multi-label sets (``fetch_*``)."""

from rungwise.datasets.arithmetic import make_adder, make_multiplier
from rungwise.datasets.automaton import make_automaton
from rungwise.datasets.brain_dump import make_brain_dump
from rungwise.datasets.circuit import make_circuit
from rungwise.datasets.digit_pairs import make_digit_pairs
from rungwise.datasets.hierarchy import make_hierarchy
from rungwise.datasets.multilabel import fetch_multilabel
from rungwise.datasets.netlist import Netlist, parse_netlist, read_netlist
from rungwise.datasets.parity import make_parity
from rungwise.datasets.random_hierarchy import make_random_hierarchy
from rungwise.datasets.sorting_network import make_sorting_network
from rungwise.datasets.staircase import make_staircase

__all__ = [
    "Netlist",
    "fetch_multilabel",
    "make_adder",
    "make_automaton",
    "make_brain_dump",
    "make_circuit",
    "make_digit_pairs",
    "make_hierarchy",
    "make_multiplier",
    "make_parity",
    "make_random_hierarchy",
    "make_sorting_network",
    "make_staircase",
    "parse_netlist",
    "read_netlist",
]
