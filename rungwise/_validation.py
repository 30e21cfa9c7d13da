"""Checks of parameters that the whole package shares: what was wrong, with the value, as a ValueError."""

import math
import numbers
from typing import Any


def check_whole(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int, or raise a ValueError if it is not a whole number of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, however: {name}={value!r}")
    return int(value)


def check_fraction(name: str, value: Any) -> float:
    """Return ``value`` as a float, or raise a ValueError if it is not a number from 0 to below 1."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must be a number of at least 0 and less than 1, however: {name}={value!r}")
    return float(value)


def check_share(name: str, value: Any) -> float:
    """Return ``value`` as a float, or raise a ValueError if it is not a number from above 0 to 1."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"{name} must be a number greater than 0 and at most 1, however: {name}={value!r}")
    return float(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, NumPy's among them, but neither a bool nor NaN."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not math.isnan(value)
