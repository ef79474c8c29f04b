"""The client without its input and output: pure functions and state machines, shared by the sync and asyncio shells."""
