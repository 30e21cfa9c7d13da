"""Neighborhoods: index maps against brute force."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from rungwise import Neighborhood


@pytest.mark.parametrize("offsets", [(-1, 0, 1), (0,), (3, -5), (-2, -1, 1, 2, 7)])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_ring_goes_round(offsets, n):
    index = Neighborhood.ring(offsets).index(n).tolist()
    assert index == [[(g + step) % n for step in offsets] for g in range(n)]


@pytest.mark.parametrize("offsets", [(-1, 0, 1), (0,), (3, -5), (-2, -1, 1, 2, 7)])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_line_ends(offsets, n):
    index = Neighborhood.line(offsets).index(n).tolist()
    assert index == [[g + step if 0 <= g + step < n else -1 for step in offsets] for g in range(n)]


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (4, 3), (1, 5), (5, 1)])
def test_grid_ends_at_its_edges(shape, radius):
    height, width = shape
    number = np.arange(height * width).reshape(shape)
    padded = np.pad(number, radius, constant_values=-1)
    around = 2 * radius + 1
    expected = [padded[r : r + around, c : c + around].ravel().tolist() for r in range(height) for c in range(width)]
    neighborhood = Neighborhood.grid(width, radius)
    assert neighborhood.index(height * width).tolist() == expected
    assert neighborhood.size == around**2


def test_map_is_the_table():
    table = np.array([[1, -1], [2, 0], [0, 0]])
    neighborhood = Neighborhood.from_index(table)
    assert neighborhood.index(3).tolist() == table.tolist()
    assert neighborhood.size == 2
    assert neighborhood == Neighborhood.from_index(table.tolist())
    with pytest.raises(ValueError, match="X must have 3 positions, as the map, however: 4"):
        neighborhood.index(4)


def test_positions_seen_have_names():
    assert Neighborhood.ring().names == ["[-1]", "", "[+1]"]
    assert Neighborhood.line((-2, 5)).names == ["[-2]", "[+5]"]
    assert Neighborhood.grid(3).names == [
        "[-1,-1]",
        "[-1,0]",
        "[-1,+1]",
        "[0,-1]",
        "",
        "[0,+1]",
        "[+1,-1]",
        "[+1,0]",
        "[+1,+1]",
    ]
    assert Neighborhood.from_index([[0, 1], [1, 0]]).names == ["[0]", "[1]"]


@pytest.mark.parametrize(
    "neighborhood",
    [Neighborhood.ring((1, 2)), Neighborhood.line(), Neighborhood.grid(4, 2), Neighborhood.from_index([[1], [-1]])],
)
def test_dictionary_round_trip(neighborhood):
    assert Neighborhood.from_dict(json.loads(json.dumps(asdict(neighborhood)))) == neighborhood
    assert hash(neighborhood) == hash(Neighborhood.from_dict(asdict(neighborhood)))


@pytest.mark.parametrize("make", [Neighborhood.ring, Neighborhood.line])
@pytest.mark.parametrize("offsets", [(), (1, 1), (0, 1, 0)])
def test_offsets_are_different_and_at_least_one(make, offsets):
    with pytest.raises(ValueError, match="offsets must be different steps, at least one, however"):
        make(offsets)


@pytest.mark.parametrize(("width", "radius"), [(0, 1), (-3, 1), (3, -1)])
def test_grid_without_columns_is_refused(width, radius):
    with pytest.raises(ValueError, match=f"however: width={width}, radius={radius}"):
        Neighborhood.grid(width, radius)


def test_grid_of_broken_rows_is_refused():
    with pytest.raises(ValueError, match="whole rows of 4 positions, however: 6 positions"):
        Neighborhood.grid(4).index(6)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([0, 1], r"shape \(2,\)"),
        ([[0.0], [1.0]], r"must be integers"),
        (np.empty((2, 0), dtype=int), r"shape \(2, 0\)"),
        ([[0], [2]], "however: 2"),
        ([[0], [-2]], "however: -2"),
    ],
)
def test_table_with_other_entries_is_refused(index, message):
    with pytest.raises(ValueError, match=message):
        Neighborhood.from_index(index)
