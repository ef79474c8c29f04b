"""The demo's data, its replay and its arithmetic, by themselves; and the demo as a whole."""
