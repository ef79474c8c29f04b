"""Watches on their way to clients.

One asyncio task a watch, which is the task of its call. It holds at most one message, the one that is being written;
what has happened since is not queued anywhere but is the distance between the cursor of the engine's watch and the
hub's version, so a slow reader costs no memory and always gets the net change.
"""
