"""The client for threads. Generated from `client/aio` by `tools/generate_sync_client.py`, but for `runtime.py`."""
