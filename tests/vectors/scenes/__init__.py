"""All vectors, as far as they are written by hand."""

from tests.vectors.scenes import breaks, changes, edits, ends, questions, resumes, values
from tests.vectors.vector import Vector

SCENES: tuple[Vector, ...] = (
    *values.SCENES,
    *changes.SCENES,
    *questions.SCENES,
    *edits.SCENES,
    *resumes.SCENES,
    *breaks.SCENES,
    *ends.SCENES,
)
