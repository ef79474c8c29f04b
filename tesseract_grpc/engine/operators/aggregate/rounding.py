"""Error-free arithmetic of doubles, and sums that are rounded once.

The sum or product of two doubles is a double (the rounded one) plus an error that is a double too, and both are found
with a few plain operations (Knuth 1969; Dekker 1971).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray

_SPLITTER = 2.0**27 + 1  # cuts the 53 bits of a double into two halves whose products are doubles


def two_sum(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded sum and its error: `a + b == sum + error` exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded product and its error; exact while the factors are below 2**500 and the product above 2**-900."""
    product = a * b
    big = a * _SPLITTER
    a_high = big - (big - a)
    a_low = a - a_high
    big = b * _SPLITTER
    b_high = big - (big - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def rounded_sum(terms: Sequence[FloatArray], count: int) -> tuple[FloatArray, BoolArray]:
    """The correctly rounded sums, entry by entry, of arrays of doubles; and the entries where it is not sure of that.

    The head and the sum of all errors are exact up to what is lost between the errors themselves. If moving by
    twice that loss to either side rounds to the same double, rounding being monotone, this double is the answer.
    """
    sure = np.zeros(count, np.bool_)
    if not terms:
        return np.zeros(count), sure
    if len(terms) == 1:
        return terms[0].copy(), sure
    head, error = two_sum(terms[0], terms[1])
    if len(terms) == 2:
        return head, sure
    loss = np.zeros(count)
    for term in terms[2:]:
        head, more = two_sum(head, term)
        error, lost = two_sum(error, more)
        loss += np.abs(lost)
    if not loss.any():
        return head + error, sure  # nothing is lost, so there is but one rounding
    result, rest = two_sum(head, error)
    loss *= 2.0
    low = result + np.where(loss > 0.0, np.nextafter(rest - loss, -np.inf), rest)
    high = result + np.where(loss > 0.0, np.nextafter(rest + loss, np.inf), rest)
    return low, low != high


def quotient(total: int, exponent: int, divisor: int = 1) -> float:
    """`total * 2**exponent / divisor` rounded once, to even when halfway; infinite outside the range of doubles."""
    try:
        return (total << exponent) / divisor if exponent >= 0 else total / (divisor << -exponent)
    except OverflowError:
        return float("-inf") if total < 0 else float("inf")
