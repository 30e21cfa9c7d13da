"""Dual kernels: what infinitely many random neurons can express.

For pre-activations u, v that are jointly normal, k = E σ(u) σ(v). With unit variances and correlation ρ it is
k(ρ) = Σ_k a_k² ρ^k, a_k the Hermite coefficients of σ: a positive coefficient at every degree up to K lets random
neurons span all polynomials of degree K.
"""

import numpy as np
from numpy.typing import ArrayLike

from rungwise.features.activations import Activation
from rungwise.theory.hermite import FARTHEST, activation_values, panels

# Values of σ held at a time: 16 MB of doubles, and as much for each intermediate product.
CHUNK = 2**21


def dual_kernel(
    activation: Activation | str, rho: ArrayLike, scale_u: ArrayLike = 1.0, scale_v: ArrayLike = 1.0
) -> np.ndarray:
    """Return E σ(u) σ(v) for normal u, v with mean 0, by numerical quadrature in the plane.

    In polar coordinates, u = scale_u r cos θ and v = scale_v r cos(θ - α) with cos α = ρ, so a kink or jump of σ at 0
    lies on four rays. Gauss-Legendre quadrature on the sectors between them is as accurate near |ρ| = 1 as elsewhere.
    Measured errors, relative to the kernel at ρ = 1: below 1e-14 for ReLU and step at any scale and for erf at scale 1;
    for erf 1e-9 at scale 3 and 1e-5 at scale 10, where it comes close to a jump. A kink or jump of σ at another point
    than 0 would cost most of these digits.

    Parameters
    ----------
    activation : callable on float64 tensors, or str
        σ, or its name in ``rungwise.features.activations.ACTIVATIONS``.
    rho : array of any shape, in [-1, 1]
        Correlations.
    scale_u, scale_v : arrays that broadcast with ``rho``, at least 0
        Standard deviations of u and v.

    Returns
    -------
    kernel : float array in the broadcast shape

    Raises
    ------
    ValueError
        If a correlation is outside [-1, 1], a scale is negative or σ is not finite.

    Examples
    --------
    >>> dual_kernel("relu", [-1.0, 0.0, 1.0]).round(6).tolist()
    [0.0, 0.159155, 0.5]
    """
    rho, scale_u, scale_v = _check_covariance(rho, scale_u, scale_v)
    shape = rho.shape
    # Boolean inputs give few distinct inner products: each is integrated once.
    distinct, place = np.unique(np.stack([rho, scale_u, scale_v], axis=-1).reshape(-1, 3), axis=0, return_inverse=True)
    radius, radius_weight = panels(0.0, FARTHEST, n_panels=24, n_nodes=12)
    radius_weight = radius_weight * radius * np.exp(-(radius**2) / 2)
    kernel = np.empty(len(distinct))
    angles_per_sector = panels(0.0, 1.0, n_panels=2)
    chunk = max(1, CHUNK // (4 * len(angles_per_sector[0]) * len(radius)))
    for start in range(0, len(distinct), chunk):
        r, s_u, s_v = distinct[start : start + chunk].T
        angle = np.arccos(r)[:, None]
        theta, theta_weight = _sector_angles(angle, *angles_per_sector)
        # Shapes: (chunk, angles, radii).
        u = (s_u[:, None] * np.cos(theta))[:, :, None] * radius
        v = (s_v[:, None] * np.cos(theta - angle))[:, :, None] * radius
        product = activation_values(activation, u) * activation_values(activation, v)
        kernel[start : start + chunk] = (theta_weight * (product @ radius_weight)).sum(axis=1) / (2 * np.pi)
    return kernel[place.reshape(-1)].reshape(shape)


def _sector_angles(angle: np.ndarray, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return quadrature angles and weights, (n, 4 n_points), of the sectors between the rays u = 0 and v = 0.

    ``angle`` (n, 1) is α in [0, π]; u changes its sign at θ = ±π/2, v at θ = α ± π/2.
    """
    edges = np.pi / 2 + np.hstack([angle - 2 * np.pi, -np.pi + 0 * angle, angle - np.pi, 0 * angle, angle])
    width = np.diff(edges, axis=1)[:, :, None]
    theta = edges[:, :-1, None] + width * points
    return theta.reshape(len(angle), -1), (width * weights).reshape(len(angle), -1)


def step_kernel(rho: ArrayLike, scale_u: ArrayLike = 1.0, scale_v: ArrayLike = 1.0) -> np.ndarray:
    """Return the dual kernel of the step 1[t > 0], the arc-cosine kernel of degree 0: (π - α) / 2π, cos α = ρ.

    Source: Cho and Saul, Kernel methods for deep learning (2009), up to their factor 2. Parameters as in
    ``dual_kernel``; positive scales do not matter.
    """
    rho, scale_u, scale_v = _check_covariance(rho, scale_u, scale_v)
    return np.where((scale_u > 0) & (scale_v > 0), (np.pi - np.arccos(rho)) / (2 * np.pi), 0.0)


def relu_kernel(rho: ArrayLike, scale_u: ArrayLike = 1.0, scale_v: ArrayLike = 1.0) -> np.ndarray:
    """Return the dual kernel of ReLU, the arc-cosine kernel of degree 1: s_u s_v (sin α + (π - α) cos α) / 2π.

    Source: Cho and Saul, Kernel methods for deep learning (2009), up to their factor 2. Parameters as in
    ``dual_kernel``.
    """
    rho, scale_u, scale_v = _check_covariance(rho, scale_u, scale_v)
    angle = np.arccos(rho)
    return scale_u * scale_v * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)


def erf_kernel(rho: ArrayLike, scale_u: ArrayLike = 1.0, scale_v: ArrayLike = 1.0) -> np.ndarray:
    """Return the dual kernel of erf, the arcsine kernel: (2/π) arcsin(2 s_u s_v ρ / √((1 + 2 s_u²)(1 + 2 s_v²))).

    Source: Williams, Computing with infinite networks (1997). Parameters as in ``dual_kernel``.
    """
    rho, scale_u, scale_v = _check_covariance(rho, scale_u, scale_v)
    return 2 / np.pi * np.arcsin(2 * scale_u * scale_v * rho / np.sqrt((1 + 2 * scale_u**2) * (1 + 2 * scale_v**2)))


def random_feature_kernel(beta: float, X: ArrayLike, Z: ArrayLike, activation: Activation | str) -> np.ndarray:
    """Return the kernel of β-Xavier random features: E σ(w·x + b) σ(w·z + b).

    Entries of w are Normal(0, (1 - β²)/N), b is Normal(0, β²), so that the pre-activations have covariance
    β² + (1 - β²) <x, z> / N; their variance is 1 if ||x||² = N, as for ±1 inputs.

    Parameters
    ----------
    beta : float in [0, 1]
        Standard deviation of the bias.
    X : array of shape (n, N), N >= 1
        Inputs.
    Z : array of shape (m, N)
        Inputs.
    activation : callable on float64 tensors, or str
        σ, as in ``dual_kernel``.

    Returns
    -------
    kernel : float array of shape (n, m)

    Raises
    ------
    ValueError
        If β is outside [0, 1] or the inputs' shapes do not match.

    Examples
    --------
    >>> random_feature_kernel(0.6, [[1, 1], [1, -1]], [[1, 1]], "erf").round(4).tolist()
    [[0.4646], [0.1543]]
    """
    X, Z = np.asarray(X, dtype=np.float64), np.asarray(Z, dtype=np.float64)
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must be in [0, 1], however: beta={beta}")
    if X.ndim != 2 or Z.ndim != 2 or X.shape[1] != Z.shape[1] or X.shape[1] == 0:
        raise ValueError(
            f"X and Z must be of shapes (n, N) and (m, N), N >= 1, however: X.shape={X.shape}, Z.shape={Z.shape}"
        )
    inner = beta**2 + (1 - beta**2) * (X @ Z.T) / X.shape[1]
    scale_x, scale_z = (np.sqrt(beta**2 + (1 - beta**2) * (A**2).mean(axis=1)) for A in (X, Z))
    scales = scale_x[:, None] * scale_z
    # An input 0 without bias gives the pre-activation 0, whose correlation does not matter.
    rho = np.divide(inner, scales, out=np.zeros_like(inner), where=scales > 0)
    # Rounding may push the correlation of an input with itself beyond 1.
    return dual_kernel(activation, rho.clip(-1, 1), scale_x[:, None], scale_z)


def _check_covariance(
    rho: ArrayLike, scale_u: ArrayLike, scale_v: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three as float arrays in their broadcast shape, or raise if they are no covariance."""
    correlation, s_u, s_v = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (rho, scale_u, scale_v)))
    outside = correlation[~(np.abs(correlation) <= 1)]
    if outside.size:
        raise ValueError(f"rho must be in [-1, 1], however: rho={outside[0]}")
    negative = [float(s[~(s >= 0)][0]) for s in (s_u, s_v) if not (s >= 0).all()]
    if negative:
        raise ValueError(f"standard deviations must be at least 0, however: scale={negative[0]}")
    return correlation, s_u, s_v
