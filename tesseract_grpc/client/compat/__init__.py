"""The ancestor's style and spelling, for programs that move on piece by piece.

    configuration in the ancestor's words --tables, sessions, filters--> the client's words --> EventHorizon

It is a translation and no second client: what it makes are ordinary tables and sessions of the hub, which programs in
the new style use at the same time, and every handle gives the client's one behind it (`table.tesseract`,
`session.session`, `horizon.hub`). What cannot be carried over is refused with what to write instead, before anything is
made. It is for threads; with asyncio, use the translations by themselves: `table_of(config).columns` is what
`create_tesseract` takes, `session_of(config).query` what `create_session` does.
"""

from .compare import compare
from .definitions import Definitions, definitions_of
from .evolve import SchemaMigrator
from .hub import EventHorizon, TesseractV1Compatibility
from .refusal import NotCarriedOver
from .session import Session
from .sessions import SessionDefinition, session_of
from .table import Table
from .tables import TableDefinition, table_of

__all__ = [
    "Definitions",
    "EventHorizon",
    "NotCarriedOver",
    "SchemaMigrator",
    "Session",
    "SessionDefinition",
    "Table",
    "TableDefinition",
    "TesseractV1Compatibility",
    "compare",
    "definitions_of",
    "session_of",
    "table_of",
]
