"""Durability of hubs behind the engine's `CommitLog`: in memory, or in a directory with SQLite."""
