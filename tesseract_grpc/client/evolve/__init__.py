"""Migrations of the schema: numbered steps from one form of the tables to the next, and what of them a hub has.

    files or code --migration, step--> plan (with the history of the hub) --> one request a step, noted in the history

All of this is pure; `client/aio/evolve.py` asks the hub and does what the plan says.
"""
