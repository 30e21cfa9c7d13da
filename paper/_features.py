"""The paper's random features, as the claims use them: σ = erf, and a spread of biases that serves degrees up to 3."""

from rungwise import RandomFeatures

BETA = 0.5
"""Standard deviation of the biases. The dual kernel has a coefficient for every degree; the weakest one of degrees 1 to
3, which are those of the claims' gates, is largest near this β. With the estimator's default, 0.3, that of degree 2 is
half as large: erf is odd, and even degrees come by the biases alone."""


def random_features(width: int) -> RandomFeatures:
    """Return the feature map of so many hidden units a block."""
    return RandomFeatures(width=width, activation="erf", beta=BETA)
