"""A server with one table of users, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.support import Api, serving, user


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A client of a server whose table `users` holds five rows."""
    async with serving() as (_, client):
        await client.create_users()
        await client.insert([user(id) for id in range(5)])
        yield client
