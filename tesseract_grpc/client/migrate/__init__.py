"""Tables of databases into tables of a hub: everything of it that neither a task nor a thread has to do.

    database   a URL becomes an engine that only reads, and its errors become ours, without passwords
    catalogue  what a table or a query has: columns, keys, indexes
    types      what becomes of each type of column, or why it cannot; docs/MIGRATING.md has them as a table
    plan       the columns of both sides, and whether a table of the hub fits them
    convert    values of a driver as vectors
    reading    rows in the order of their key, page by page
    checksum   what both sides must agree on
    compare    where they differ, when they do not
    state      how far a migration has come, in a file
    follow     what has changed since

`client/aio/migration.py` puts them together. These modules block, and run in a thread where that matters. Only
`errors`, `options` and `report` can be imported without SQLAlchemy.
"""
