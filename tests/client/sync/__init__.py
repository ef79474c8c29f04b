"""Tests of the sync client, generated from `tests/client/aio`, but for `conftest.py` and `support.py`."""
