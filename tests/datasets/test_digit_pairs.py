import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

from rungwise.datasets import make_digit_pairs


@pytest.fixture(scope="module")
def pairs():
    return make_digit_pairs(3000, random_state=0)


def images_of(pairs):
    return set(pairs.left) | set(pairs.right)


def test_no_test_image_is_in_any_training_pair():
    train = set.union(*(images_of(make_digit_pairs(5000, "train", seed)) for seed in range(3)))
    test = set.union(*(images_of(make_digit_pairs(5000, "test", seed)) for seed in range(3)))
    assert not train & test
    assert len(train) == 1257
    assert len(test) == 540


def test_both_subsets_hold_every_digit_alike():
    digits = load_digits().target
    for subset in ("train", "test"):
        images = sorted(images_of(make_digit_pairs(10_000, subset, random_state=0)))
        share = np.bincount(digits[images]) / len(images)
        np.testing.assert_allclose(share, np.bincount(digits) / len(digits), atol=0.003)


def test_pixels_are_those_of_the_named_images(pairs):
    images = load_digits().data
    assert pairs.X.dtype == np.float32
    np.testing.assert_allclose(pairs.X[:, :64], images[pairs.left] / 16)
    np.testing.assert_allclose(pairs.X[:, 64:], images[pairs.right] / 16)
    assert pairs.X.min() == 0
    assert pairs.X.max() == 1


def test_labels_are_what_their_names_say(pairs):
    digits = load_digits().target
    Y = dict(zip(pairs.label_names, pairs.Y.T, strict=True))
    for row, (a, b) in enumerate(zip(digits[pairs.left], digits[pairs.right], strict=True)):
        assert {name: Y[name][row] for name in Y} == {
            **{f"left is {digit}": int(a == digit) for digit in range(10)},
            **{f"right is {digit}": int(b == digit) for digit in range(10)},
            "sum >= 10": int(a + b >= 10),
            "sum even": int((a + b) % 2 == 0),
            "left > right": int(a > b),
            "product >= 20": int(a * b >= 20),
            "same digit": int(a == b),
            "sum even and left > right": int((a + b) % 2 == 0 and a > b),
            "sum >= 10 xor left > right": int((a + b >= 10) != (a > b)),
        }


def test_verdicts_follow_from_their_parents(pairs):
    Y = dict(zip(pairs.label_names, pairs.Y.T, strict=True))
    level = dict(zip(pairs.label_names, pairs.level, strict=True))
    for child in pairs.label_names[20:]:
        parents = [parent for parent, name in pairs.edges if name == child]
        assert max(level[parent] for parent in parents) == level[child] - 1
        seen = {}
        for key, value in zip(zip(*(Y[parent] for parent in parents), strict=True), Y[child], strict=True):
            assert seen.setdefault(key, value) == value


def test_no_label_is_degenerate(pairs):
    assert (pairs.Y.mean(axis=0) > 0.05).all()
    assert (pairs.Y.mean(axis=0) < 0.95).all()
    for a, b in itertools.combinations(pairs.Y.T, 2):
        assert 0.02 < (a == b).mean() < 0.98


def test_seed_reproduces_and_seeds_differ():
    first = make_digit_pairs(50, random_state=7)
    np.testing.assert_array_equal(first.X, make_digit_pairs(50, random_state=7).X)
    assert (first.X != make_digit_pairs(50, random_state=8).X).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1, however: n_samples=0"),
        ({"subset": "valid"}, "subset must be 'train' or 'test', however: subset='valid'"),
        ({"random_state": -1}, "random_state must be None, a whole number of at least 0"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_digit_pairs(**options)
