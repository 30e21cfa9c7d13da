"""Two hand-written digits side by side: which digit each one is, and verdicts about the pair.

Real images, offline, on which the idea of the package can be seen: the verdicts are simple functions of the digits, and
far from simple functions of the pixels.
"""

from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from rungwise.datasets._validation import RandomState, check_whole, spawn_generators

# The images are split once and for all, whatever the seed of the pairs: no image of a test pair is in a training pair.
SPLIT_SEED = 0
TEST_FRACTION = 0.3

LEFT = tuple(f"left is {digit}" for digit in range(10))
RIGHT = tuple(f"right is {digit}" for digit in range(10))

Verdict = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Of the two digits; every one of them is a polynomial threshold function, of degree 1 or 2, of the twenty labels above.
VERDICTS: dict[str, Verdict] = {
    "sum >= 10": lambda left, right: left + right >= 10,
    "sum even": lambda left, right: (left + right) % 2 == 0,
    "left > right": lambda left, right: left > right,
    "product >= 20": lambda left, right: left * right >= 20,
    "same digit": lambda left, right: left == right,
}

# Of two other verdicts.
SECOND_VERDICTS: dict[str, tuple[str, str, Verdict]] = {
    "sum even and left > right": ("sum even", "left > right", np.logical_and),
    "sum >= 10 xor left > right": ("sum >= 10", "left > right", np.logical_xor),
}


def make_digit_pairs(n_samples: int = 1000, subset: str = "train", random_state: RandomState = None) -> Bunch:
    """Make pairs of the 1,797 images of `sklearn.datasets.load_digits`, with labels from easy to hard.

    The images are split, stratified by digit, before they are paired: training pairs are drawn from 1,257 images and
    test pairs from the other 540, the same for every seed. Test error is then error on handwriting never seen.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of pairs. Both images are drawn uniformly, so that more pairs than images show the same images again
        in new company.
    subset : {"train", "test"}
        Which images to draw from.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives other pairs at each call.

    Returns
    -------
    bunch : Bunch
        Not (X, Y, model) as for the synthetic sets: what a digit is, as a function of pixels, nobody can write down.

        - X : float32 array of shape (n_samples, 128), in [0, 1]: the ink of the left image, then the right's
        - Y : int8 array of shape (n_samples, 27), of {0, 1}
        - label_names : list of str: "left is 0" … "left is 9", "right is 0" … "right is 9" (granular labels), then the
          verdicts
        - feature_names : list of str, "left pixel 0,0" … "right pixel 7,7" (row, column)
        - level : int array of shape (27,): 1 for the granular labels, 2 for verdicts about the digits, 3 for verdicts
          about two other verdicts
        - edges : list of (parent, child) names, for levels 2 and 3
        - left, right : int arrays of shape (n_samples,), rows of the images in ``load_digits()``

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> pairs = make_digit_pairs(n_samples=5, random_state=0)
    >>> pairs.X.shape, pairs.Y.shape, pairs.level.tolist()[18:]
    ((5, 128), (5, 27), [1, 1, 2, 2, 2, 2, 2, 3, 3])
    >>> pairs.label_names[20:23]
    ['sum >= 10', 'sum even', 'left > right']
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    if subset not in ("train", "test"):
        raise ValueError(f"subset must be 'train' or 'test', however: subset={subset!r}")
    images, digits = load_digits(return_X_y=True)
    train, test = train_test_split(
        np.arange(len(digits)), test_size=TEST_FRACTION, stratify=digits, random_state=SPLIT_SEED
    )
    (rng,) = spawn_generators(random_state, 1)
    left, right = rng.choice(train if subset == "train" else test, size=(2, n_samples))

    pixels = (images / 16).astype(np.float32)  # load_digits counts ink from 0 to 16
    labels = _label_pairs(digits[left], digits[right])
    return Bunch(
        X=np.hstack([pixels[left], pixels[right]]),
        Y=np.column_stack(list(labels.values())).astype(np.int8),
        label_names=list(labels),
        feature_names=[
            f"{side} pixel {row},{column}" for side in ("left", "right") for row, column in np.ndindex(8, 8)
        ],
        level=np.repeat([1, 2, 3], [len(LEFT + RIGHT), len(VERDICTS), len(SECOND_VERDICTS)]),
        edges=_edges(),
        left=left,
        right=right,
    )


def _label_pairs(left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Return every label by name, bool of shape (n_samples,), from the digits of both images."""
    labels = {name: left == digit for digit, name in enumerate(LEFT)}
    labels |= {name: right == digit for digit, name in enumerate(RIGHT)}
    labels |= {name: verdict(left, right) for name, verdict in VERDICTS.items()}
    return labels | {name: gate(labels[a], labels[b]) for name, (a, b, gate) in SECOND_VERDICTS.items()}


def _edges() -> list[tuple[str, str]]:
    from_digits = [(parent, child) for child in VERDICTS for parent in LEFT + RIGHT]
    from_verdicts = [(parent, child) for child, (*parents, _) in SECOND_VERDICTS.items() for parent in parents]
    return from_digits + from_verdicts
