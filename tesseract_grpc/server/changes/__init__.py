"""What each request changes in a hub: once when it is made, and again whenever the log is replayed.

A behaviour is a function from a host, a request and the moment at which it was proposed to the response. It must be
deterministic: everything that it does to what a hub keeps follows from the state of the hub and from its arguments. It
asks no clock, draws no random number, and does not look at who is connected or at anonymous sessions.
"""

from __future__ import annotations

from tesseract_grpc.server.changes.limits import set_limits
from tesseract_grpc.server.changes.retention import evict
from tesseract_grpc.server.changes.sessions import create_session, delete_session, update_session
from tesseract_grpc.server.changes.swaps import swap_tables
from tesseract_grpc.server.changes.tables import alter_table, create_table, delete_table, rename_table, update_table
from tesseract_grpc.server.changes.writes import write
from tesseract_grpc.server.journal import Behaviours
from tesseract_grpc.server.records import Kind

BEHAVIOURS: Behaviours = {
    Kind.WRITE: write,
    Kind.CREATE_TABLE: create_table,
    Kind.UPDATE_TABLE: update_table,
    Kind.ALTER_TABLE: alter_table,
    Kind.RENAME_TABLE: rename_table,
    Kind.DELETE_TABLE: delete_table,
    Kind.SWAP_TABLES: swap_tables,
    Kind.CREATE_SESSION: create_session,
    Kind.UPDATE_SESSION: update_session,
    Kind.DELETE_SESSION: delete_session,
    Kind.LIMITS: set_limits,
    Kind.EVICT: evict,
}
"""What each kind of record does."""
