"""The contract that every operator keeps, and that everybody who drives one keeps in return.

An operator derives rows from a relation and maintains them under change. It has two duties:

* `hydrate()` returns the slots of its rows, evaluated from scratch over the relation as it is now.
* `apply(delta)` takes what one commit did to its input and returns what that means for its output.

**What the caller guarantees**

1. `hydrate` is called once, before any `apply`.
2. Deltas come in the order of their versions, each once, right after the relation has been changed: new values are
   read from the relation, old values from the delta.
3. A delta is net: a slot stands at most once in it. It inserts no slot that was there, and it updates and removes only
   slots that were there.
4. A delta may be *routed*: it may lack rows that cannot concern the operator, because neither their old nor their
   new values satisfy the operator's routing key.

**What the operator guarantees**

5. Its output delta is net and consistent with what it delivered so far: it removes and updates only rows that it has
   delivered, and inserts only rows that it has not. Consumers need no defence.
6. After `apply`, its state equals that of a fresh operator hydrated now.
7. It keeps no reference to the arrays of a delta, and never changes them.
8. It does work in proportion to the delta and the logarithm of its state, with at most one pass of memory moves over
   its own rows; never a pass over the relation.

`CheckedOperator` in the tests wraps an operator and asserts 3, 5 and 6 at every step.
"""

from __future__ import annotations

from typing import Protocol

from tesseract_grpc.engine.data.delta import Delta, Slots


class Operator(Protocol):
    """Derives rows from a relation and maintains them."""

    def hydrate(self) -> Slots:
        """The slots of the rows, from scratch."""

    def apply(self, delta: Delta) -> Delta:
        """What a change of the input means for the output."""
