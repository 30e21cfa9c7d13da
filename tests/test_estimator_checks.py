"""scikit-learn's own checks of the estimator contract, with no expected failure."""

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks

from rungwise import RungwiseClassifier


@parametrize_with_checks([RungwiseClassifier(random_state=0)])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        # Checks announce that they are skipped (no array API here) by warnings.
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        check(estimator)
