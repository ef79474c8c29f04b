"""The engine: tables, queries and live sessions. Synchronous, deterministic, without I/O."""
