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

**Derivers** are operators whose rows are a relation of their own: groups, joins, rows with more columns. They keep the
same contract, once an input: each input has a filter, an operator of its own, which decides which rows of that input
concern the deriver, and the deriver is handed what the filters return. Beyond that:

9. `apply` is called once a commit, with the changes of all inputs, after all of them have been changed. What one input
   was before the other changed cannot be read; a deriver that needs it keeps it.
10. A deriver writes its table itself, and returns what it did as a delta with before-images, in the same form as that
    of a table. `apply_one` may do the same for the change of one row of one input, or leave it to `apply`; both are
    proven equal.

`CheckedOperator` in the tests wraps an operator and asserts 3, 5 and 6 at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tesseract_grpc.engine.data.delta import ChangeKind, Delta, RowChange, Slots
from tesseract_grpc.engine.data.relation import Relation

if TYPE_CHECKING:
    from tesseract_grpc.engine.operators.filter import FilterOperator


class Operator(Protocol):
    """Derives rows from a relation and maintains them."""

    def hydrate(self) -> Slots:
        """The slots of the rows, from scratch."""

    def apply(self, delta: Delta) -> Delta:
        """What a change of the input means for the output."""


class Deriver(Protocol):
    """Derives a relation from the rows that filters keep of others, and maintains it."""

    @property
    def table(self) -> Relation:
        """What it derives."""

    @property
    def inputs(self) -> Sequence[FilterOperator]:
        """The filters of its inputs."""

    def hydrate(self, version: int) -> int:
        """Fills the table from the inputs as they are now; returns the number of rows examined."""

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit: one change an input, as its filter returned it, empty where nothing concerns it."""

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row of one input; `kind` is what its filter made of it.

        None: nothing follows.
        """

    def memory_bytes(self) -> int:
        """The memory held beside the table, in bytes."""

    def check(self) -> None:
        """Proves the invariants of what it keeps beside the table."""
