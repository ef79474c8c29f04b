"""Migrations of the schema under the ancestor's names, with a compatible hub in the hands of their functions."""

from __future__ import annotations

from typing import Any

from ..sync.evolve import SchemaMigrator as Migrator
from ..sync.hub import EventHorizon as Hub
from .hub import EventHorizon


class SchemaMigrator(Migrator):
    """`addMigration(2, function)` and `migrate('users', 1, 3)`; a function gets the table and the hub, both with the
    methods of this package."""

    def __init__(self, hub: EventHorizon | Hub | str | None = None, **options: Any) -> None:
        """On a compatible hub, one of the client, or the one at an address."""
        given: Any = hub if isinstance(hub, EventHorizon) else EventHorizon(hub)
        super().__init__(given, **options)

    addMigration = Migrator.add_migration  # noqa: N815
