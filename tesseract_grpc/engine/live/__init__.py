"""Who watches what, and what they get: routing, sessions, watches, changes."""
