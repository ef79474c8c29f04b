"""The demo: a day of New York flights, replayed live."""
