"""Planted bugs of debug mode and of the events of hubs, tables and sessions: what would betray a value, hold somebody
up, or leave something untold."""

from __future__ import annotations

from tests.mutants.plant import Plant

RECORDER, RING, EXPLAIN, FORMS = (
    "server/debug/recorder.py",
    "server/debug/ring.py",
    "engine/live/explain.py",
    "engine/query/filter_text.py",
)
STORY, CHANGES, HANDLERS = "server/services/hub_story.py", "server/changes/sessions.py", "client/sync/handlers.py"
KNOWN, FEED = "client/core/hub_events.py", "client/core/hub_feed.py"

SECRETS = ("tests/server/test_debug_secrets.py",)
RECORDS = ("tests/server/test_debug.py",)
HUBS = ("tests/server/test_watch_hub.py",)
CLIENTS = ("tests/client/sync/test_hub_events.py",)
TABLES = ("tests/client/sync/test_events.py",)

VALUES = (
    Plant(
        "messages of refusals are recorded",
        RECORDER,
        '        if self._values:\n            details["message"]',
        '        if True:\n            details["message"]',
        "whoever reads debug records reads values of rows",
        quick=True,
        tests=SECRETS,
    ),
    Plant(
        "a plan has the names that a pivot made",
        "server/debug/plan_text.py",
        "for name in hub.tables.keys() - hub.derived_tables.keys()",
        "for name in hub.tables.keys()",
        "values of rows are in debug records, as names of columns",
        tests=SECRETS,
    ),
    Plant(
        "a pattern is no value",
        FORMS,
        "shown = pattern if wording.values else HIDDEN",
        "shown = pattern",
        "a regular expression with a secret is in debug records",
        tests=SECRETS,
    ),
    Plant(
        "the order of a plan is told whole",
        EXPLAIN,
        "return word if word in _VOCABULARY else HIDDEN",
        "return word",
        "a sort over a column of a pivot tells a value",
        tests=SECRETS,
    ),
    Plant(
        "the field of a refusal is told whole",
        RECORDER,
        "            break\n        found.append(part)",
        "            pass\n        found.append(part)",
        "what a client wrote in the place of a name is in debug records",
        tests=SECRETS,
    ),
)

RINGS = (
    Plant(
        "records that leave are not counted",
        RING,
        "self.dropped += 1",
        "self.dropped += 0",
        "nobody can tell that records are missing",
        tests=RECORDS,
    ),
    Plant(
        "a slow follower is not told what it missed",
        RING,
        "return max(0, self.first - max(sequence, self._cleared))",
        "return 0",
        "a gap in the records goes unnoticed",
        tests=RECORDS,
    ),
    Plant(
        "the ring has room for one too many",
        RING,
        "while self._records and (len(self._records) > self.capacity",
        "while self._records and (len(self._records) > self.capacity + 1",
        "more records are kept than were asked for",
        tests=RECORDS,
    ),
    Plant(
        "a level below the least is recorded",
        RECORDER,
        "        if level >= self._least:\n            self.ring.add",
        "        if level >= self._least - 1:\n            self.ring.add",
        "records come that nobody wants",
        tests=RECORDS,
    ),
)

HUB_EVENTS = (
    Plant(
        "a session that is there already is opened again",
        CHANGES,
        "    if not known:\n        host.events",
        "    if known or not known:\n        host.events",
        "a session is told twice",
        quick=True,
        tests=HUBS,
    ),
    Plant(
        "what is closed before it is told is told all the same",
        STORY,
        "return self._untold.pop((_SESSIONS, name), 0) is None",
        "return (_SESSIONS, name) in self._untold",
        "a watch of a hub meets a session that is gone, and fails",
        tests=HUBS,
    ),
    Plant(
        "a reader that does not read is borne for ever",
        STORY,
        "if len(self._queue) > QUEUE or self._bytes > QUEUE_BYTES:",
        "if self._bytes > QUEUE_BYTES:",
        "events pile up for a client that is stuck",
        tests=HUBS,
    ),
    Plant(
        "after a gap all is as it was",
        FEED,
        "told = now.since(before, version) if not first else",
        "told = () if not first else",
        "what happened while a client was away is never told to it",
        quick=True,
        tests=CLIENTS,
    ),
    Plant(
        "a table is what its name says",
        KNOWN,
        "if known.name != table.name and table.name not in swapped:",
        "if False and table.name not in swapped:",
        "a table that was renamed during a gap keeps its old name",
        tests=CLIENTS,
    ),
    Plant(
        "a handler that raises stops the others",
        HANDLERS,
        'logger.exception("a handler of %r failed", event)',
        "raise",
        "one mistake in one handler, and nothing is told any more",
        tests=TABLES,
    ),
    Plant(
        "once is for ever",
        HANDLERS,
        "if entry.once and not self._remove(event, entry):",
        "if entry.once and event not in self._handlers:",
        "a handler that was to be called once is called again",
        tests=TABLES,
    ),
)

DEBUG = (*VALUES, *RINGS, *HUB_EVENTS)
