"""Literals are called as the user would call them."""

import numpy as np
import pandas as pd
import pytest

from rungwise import RungwiseClassifier
from rungwise.preprocessing.naming import InputNames
from rungwise.preprocessing.scaling import Standardizer

COLUMNS = np.array(
    [
        [0.0, -1.0, 20.0, 3.0, np.nan],
        [1.0, 1.0, 40.0, 3.0, 1.0],
        [1.0, np.nan, 30.0, 3.0, 5.0],
        [0.0, 1.0, 90.0, 3.0, 2],
    ]
)


@pytest.fixture
def names():
    return InputNames(["ill", "up", "age", "constant", "dose"], Standardizer().fit(COLUMNS), COLUMNS)


def test_columns_of_two_values_are_called_by_their_name(names):
    assert names.literal(0, 0.1) == "ill"
    assert names.literal(1, 0.1) == "up"


@pytest.mark.parametrize("original", [25.0, 35.0, 60.0])
def test_threshold_is_in_the_units_of_the_column(names, original):
    scaled = (original - COLUMNS[:, 2].mean()) / COLUMNS[:, 2].std()
    assert names.literal(2, scaled) == f"age > {original:g}"


def test_indicator_says_what_is_missing(names):
    standardizer = Standardizer().fit(COLUMNS)
    texts = [names.literal(5 + k, 0.0) for k in range(len(standardizer.indicator_columns_))]
    assert texts == ["up is missing", "dose is missing"]


def test_position_follows_the_name(names):
    assert names.literal(0, 0.0, "[-1]") == "ill[-1]"
    assert names.literal(5, 0.0, "[+1]") == "up[+1] is missing"
    assert names.literal(2, 0.0, "[+1]") == "age[+1] > 45"


def test_categories_and_missing_values_of_a_table_are_named():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"colour": rng.choice(["red", "green", "blue"], 600), "size": rng.integers(0, 4, 600) * 1.0})
    frame.loc[rng.random(600) < 0.3, "size"] = np.nan
    Y = pd.DataFrame({"warm": frame["colour"] == "red", "unknown": frame["size"].isna()})
    hierarchy = RungwiseClassifier(random_state=0).fit(frame, Y).hierarchy_
    assert "red" in hierarchy.formula("warm").text
    assert hierarchy.formula("unknown").text == "size is missing"
    assert hierarchy.parents("warm") == ["colour"]
