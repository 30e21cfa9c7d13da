"""Data sets whose hierarchy of labels is known (``make_*``), and real multi-label sets (``fetch_*``)."""

from rungwise.datasets.digit_pairs import make_digit_pairs
from rungwise.datasets.hierarchy import make_hierarchy
from rungwise.datasets.multilabel import fetch_multilabel
from rungwise.datasets.parity import make_parity
from rungwise.datasets.random_hierarchy import make_random_hierarchy
from rungwise.datasets.staircase import make_staircase

__all__ = [
    "fetch_multilabel",
    "make_digit_pairs",
    "make_hierarchy",
    "make_parity",
    "make_random_hierarchy",
    "make_staircase",
]
