"""How a query is hydrated and maintained: small operators under one contract."""
