import numpy as np
import pytest

from paper._exponents import fewest, n_monomials, slope

GRID = tuple(range(10, 60))


@pytest.mark.parametrize("start", [-3, 0, 7, 49, 80])
@pytest.mark.parametrize("least", [10, 11, 33, 59])
def test_fewest_finds_the_least_from_everywhere(start, least):
    tried = []

    def is_enough(n):
        tried.append(n)
        return n >= least

    assert fewest(is_enough, GRID, start) == least
    assert len(tried) == len(set(tried)) <= 14


def test_nothing_is_enough():
    assert fewest(lambda n: False, GRID, 5) is None


def test_near_start_needs_few_trials():
    tried = []
    assert fewest(lambda n: tried.append(n) or n >= 30, GRID, GRID.index(31)) == 30
    assert len(tried) <= 4


def test_slope_of_a_power_law_is_its_exponent():
    x = np.array([8, 16, 32, 64])
    found = slope(np.log(x), np.log(3.0 * x**2))
    assert found.value == pytest.approx(2)
    assert found.standard_error == pytest.approx(0, abs=1e-9)


def test_standard_error_is_that_of_least_squares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = 2 * x + rng.normal(size=20)
    coefficients, covariance = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - np.polyval(coefficients, x)
    found = slope(x, y)
    assert found.value == pytest.approx(coefficients[0])
    assert found.standard_error == pytest.approx(np.sqrt(covariance[0, 0] * residual @ residual / 18))
    assert slope([0, 1], [0, 3]).standard_error is None


def test_number_of_monomials():
    assert n_monomials(4, 2) == 1 + 4 + 6
    assert n_monomials(5, 5) == 2**5
