"""Tests of the asyncio client; `tests/client/sync` is generated from them."""
