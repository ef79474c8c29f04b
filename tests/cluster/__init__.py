"""Several nodes over real Redis servers."""
