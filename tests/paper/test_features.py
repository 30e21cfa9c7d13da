import numpy as np

from paper._features import BETA, random_features
from rungwise.theory.dual_kernels import erf_kernel


def weakest_coefficient(beta):
    """Return the least Taylor coefficient, of degrees 1 to 3, of the dual kernel as a function of the correlation."""
    rho = np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    kernel = erf_kernel(beta**2 + (1 - beta**2) * rho)
    series = np.polynomial.chebyshev.chebfit(rho, kernel, 20)
    return np.polynomial.chebyshev.cheb2poly(series)[1:4].min()


def test_weakest_degree_is_strongest_near_our_beta():
    grid = np.linspace(0.1, 0.9, 81)
    best = grid[np.argmax([weakest_coefficient(beta) for beta in grid])]
    assert abs(best - BETA) <= 0.05
    assert random_features(8).beta == BETA
