"""The asyncio client, and the source of the sync one: `tools/generate_sync_client.py` writes `client/sync` from here.

`runtime.py` is the exception. It holds what threads and tasks do differently (waiting, timers, background work), under
the same names on both sides, and is written by hand on both.
"""
