"""How questions are shown when something is wrong with them: without what was not said."""

from __future__ import annotations

from dataclasses import MISSING, fields


class Brief:
    """A dataclass that shows only what is not its default."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # only dataclasses are brief
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
