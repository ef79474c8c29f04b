"""Methods under the ancestor's names: `getData` is `get_data`."""

from __future__ import annotations

from typing import Any

from ..core.words import snake


class Spelled:
    """An object whose methods may be called in camelCase, and which hands on what it does not know to the object of the
    client that it stands for, so that both styles work on one handle while a program is moved."""

    def _behind(self) -> object:
        """What it stands for."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        spelled = snake(name)
        if name.startswith("_"):
            raise AttributeError(name)
        if spelled != name and hasattr(type(self), spelled):
            return getattr(self, spelled)
        try:
            return getattr(self._behind(), spelled)
        except AttributeError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None
