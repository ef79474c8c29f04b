"""Planted bugs of the log, of recovery, of snapshots, of resuming and of conflation: what would lose something, or tell
somebody what is not true, and would be noticed on the day of a crash."""

from __future__ import annotations

from tests.mutants.plant import Plant

LOG, FILES, DIRECTORY = "store/sqlite_log.py", "store/snapshot_files.py", "store/directory.py"
JOURNAL, RESTORE, MEMORY = "server/journal.py", "server/snapshots/restore.py", "server/memory.py"
LOADER, RESTORATION = "engine/data/table_loader.py", "engine/live/restoration.py"
TOKENS, RESUMING, CHANGELOG = "server/resume_tokens.py", "server/resuming.py", "engine/data/changelog.py"
PAST, REWINDS, RESUME = "engine/live/past.py", "engine/live/rewinds.py", "engine/live/resume.py"
CONFLATION = "engine/live/conflation.py"

STORE = ("tests/store/test_logs.py",)
EPOCHS = ("tests/store/test_epochs.py",)
PROMISES = ("tests/crash/test_guarantees.py",)
KILLS = ("tests/crash/test_crash.py",)
FAULTS = ("tests/crash/test_io_errors.py",)
IMAGES = ("tests/engine/test_image.py",)
WATCHES = ("tests/server/test_resume.py",)
TIME = ("tests/server/test_resume_time.py",)
BACK = ("tests/engine/test_resume.py",)

LOGS = (
    Plant(
        "what is seen is not durable yet",
        JOURNAL,
        "                try:\n                    await self._flush(group)\n",
        "                try:\n                    self._flushed.extend(group)\n                    self._ready.set()\n"
        "                    await self._flush(group)\n                    group = []\n",
        "a write is acknowledged, the machine dies, and the write is gone",
        quick=True,
        tests=PROMISES,
    ),
    Plant(
        "a flush leaves the last entry out",
        LOG,
        '"INSERT INTO entries VALUES (?, ?, ?, ?)", rows)',
        '"INSERT INTO entries VALUES (?, ?, ?, ?)", rows[: len(rows) - (len(rows) > 1)])',
        "of many writers one loses what was acknowledged",
        tests=STORE,
    ),
    Plant(
        "a flush writes nothing",
        LOG,
        "            if not entries:\n",
        "            if entries:\n                self.durable = entries[-1].position\n            if True:\n",
        "everything is lost when the process dies",
        tests=PROMISES,
    ),
    Plant(
        "the chain is not checked",
        LOG,
        "if chained(chain, entry) != check:",
        "if check < 0:",
        "a torn entry is read as a commit",
        tests=STORE,
    ),
    Plant(
        "a torn tail stays",
        LOG,
        "                self._cut_tail(last, position)\n",
        "",
        "the log cannot be written after a crash",
        tests=STORE,
    ),
    Plant(
        "the log forgets what no snapshot holds",
        LOG,
        "position = min(self.durable, self.snapshots.forget(position))",
        "position = min(self.durable, self.snapshots.forget(position) + 1)",
        "a start finds no beginning",
        tests=STORE,
    ),
    Plant(
        "two servers have one directory",
        DIRECTORY,
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "two servers write one log",
        tests=STORE,
    ),
    Plant(
        "a newer format is read",
        DIRECTORY,
        "if number > FORMAT:",
        "if number > FORMAT + 1_000:",
        "an old program makes a mess of a new directory",
        tests=STORE,
    ),
    Plant(
        "a damaged snapshot is used",
        FILES,
        "if _is_whole(path):",
        "if path.exists():",
        "a start fails, or half of the rows are gone",
        tests=STORE,
    ),
    Plant(
        "versions that were lost are given to others",
        DIRECTORY,
        "if self._may_have_lost():",
        "if self._may_have_lost() and not self.path:",
        "after a loss of power, clients are led on over a history that they never saw",
        tests=EPOCHS,
    ),
    Plant(
        "the log does not tell its directory how it is written",
        LOG,
        "DataDirectory(path, durability)",
        "DataDirectory(path)",
        "nobody notices that something can have been lost",
        tests=EPOCHS,
    ),
    Plant(
        "a log counts as closed before it is on the disk",
        LOG,
        "        self._sync()\n        self.directory.mark_closed()\n",
        "        self.directory.mark_closed()\n        self._sync()\n",
        "the power goes right after a clean end, and the versions that went with it are given to others",
        tests=EPOCHS,
    ),
    Plant(
        "what a failed flush brought to the disk is not applied",
        JOURNAL,
        "            found = await self._replay(self.position)\n",
        "            found, self.position = 0, self.log.last\n",
        "memory lacks what the log has, and the next start differs",
        tests=FAULTS,
    ),
)

RECOVERY = (
    Plant(
        "the first record of the tail is skipped",
        JOURNAL,
        "for entry in self.log.read(after):",
        "for entry in self.log.read(after + bool(after)):",
        "one commit is missing after a start from a snapshot",
        tests=PROMISES,
    ),
    Plant(
        "a record is applied twice",
        JOURNAL,
        "                self._apply(record, None)\n",
        "                self._apply(record, None)\n                if after and not count:\n"
        "                    self._apply(record, None)\n",
        "an increment counts twice after a start from a snapshot",
        tests=PROMISES,
    ),
    Plant(
        "records are replayed without their request ids",
        JOURNAL,
        "return host.memory.once(request, lambda: behaviour(",
        "if host.replaying:\n            return behaviour(host, request, record.moment, aside)\n"
        "        return host.memory.once(request, lambda: behaviour(",
        "a retry after a crash is made again",
        quick=True,
        tests=PROMISES,
    ),
    Plant(
        "a snapshot forgets request ids",
        RESTORE,
        "for content in gathered.answers:",
        "for content in gathered.answers[:0]:",
        "a retry some time after a crash is made again",
        tests=PROMISES,
    ),
    Plant(
        "the clock begins anew",
        RESTORATION,
        "self._line.current, self._line.now = ending.version, ending.now",
        "self._line.current, self._line.now = ending.version, 0",
        "rows that time had taken are back after a start",
        tests=IMAGES,
    ),
    Plant(
        "a snapshot loses the versions of rows",
        LOADER,
        "table.row_version[where] = row_version",
        "table.row_version[where] = row_version.max()",
        "conditional writes after a start are refused, or made where they must not be",
        tests=PROMISES,
    ),
    Plant(
        "a snapshot loses the order of insertion",
        LOADER,
        "table.sequence[where] = sequence",
        "table.sequence[where] = np.arange(start, start + count)",
        "rows stand in another order after a start",
        tests=IMAGES,
    ),
    Plant(
        "a snapshot misses what was written meanwhile",
        LOADER,
        "np.append(ordered[1:] != ordered[:-1], True)",
        "np.append(np.ones(1, np.bool_), ordered[1:] != ordered[:-1])[: len(ordered)]",
        "rows have values after a start that were written over while the snapshot was made",
        tests=IMAGES,
    ),
    Plant(
        "rows deleted while a snapshot was made come back",
        LOADER,
        "        if self._gone:\n",
        "        if self._gone is None:\n",
        "deleted rows are there after a start",
        tests=IMAGES,
    ),
    Plant(
        "an edited session is what it was",
        RESTORATION,
        "self._sessions.restore(session.name, query, session.permanent, session.generation)",
        "self._sessions.restore(session.name, query, session.permanent, 1)",
        "an edit after a start has a generation that was there already",
        tests=IMAGES,
    ),
)

RESUMING_PLANTS = (
    Plant(
        "tokens of an earlier life are believed",
        TOKENS,
        "if epoch != self._epoch:",
        "if len(epoch) != len(self._epoch):",
        "a client goes on over a history that is not its own",
        quick=True,
        tests=WATCHES,
    ),
    Plant(
        "anybody can write a token",
        TOKENS,
        "if not hmac.compare_digest(signature, _signature(self._key, content)):",
        "if len(signature) != _SIGNATURE:",
        "a forged token reads a window that was never given",
        tests=WATCHES,
    ),
    Plant(
        "a token is good for every window and definition",
        TOKENS,
        "if digest == maker.digest:",
        "if digest:",
        "a client of another window is told changes that do not fit",
        tests=WATCHES,
    ),
    Plant(
        "a token does not know of edits",
        TOKENS,
        "if known is None or known[0] != session.generation:",
        "if known is None:",
        "a client from before an edit is told changes of the new definition",
        tests=WATCHES,
    ),
    Plant(
        "a watch goes on one commit late",
        RESUMING,
        "watch = session.watch(window, point.version, now_us=point.now_us",
        "watch = session.watch(window, min(point.version + 1, host.hub.version), now_us=point.now_us",
        "a client that comes back misses a commit",
        tests=WATCHES,
    ),
    Plant(
        "history tells one commit twice",
        CHANGELOG,
        "            if entry.version <= after:\n                break\n            if until is not None",
        "            if entry.version < after:\n                break\n            if until is not None",
        "a client that comes back is told what it knows",
        tests=BACK,
    ),
    Plant(
        "older changes are folded with values of now",
        CHANGELOG,
        "if len(rows) < _FEW_ROWS or not newest:",
        "if len(rows) < _FEW_ROWS:",
        "a client that comes back to a page is told of rows that it does not have",
        tests=("tests/engine/test_resume_windows.py",),
    ),
    Plant(
        "a token from before the history is believed",
        RESUME,
        "        if since < source.table.changelog.since:\n            raise too_old(since, source.table.changelog)\n",
        "        since = max(since, source.table.changelog.since)\n",
        "a client that was away for long misses what is forgotten",
        tests=WATCHES,
    ),
    Plant(
        "rows that were deleted meanwhile are not told",
        PAST,
        "went = _mask(predicate, delta.removed, lambda p: delta.old_removed(table, p))",
        "went = _mask(predicate, delta.removed, lambda p: delta.old_removed(table, p)) & (len(delta.updated) > 0)",
        "a client that comes back shows rows that are gone",
        tests=BACK,
    ),
    Plant(
        "membership is judged by what rows are now",
        PAST,
        "was = _mask(predicate, delta.updated, lambda p: delta.old_updated(table, p))",
        "was = _mask(predicate, delta.updated, lambda p: stored_at(columns[p], delta.updated))",
        "a row that came into a filter meanwhile is told as one that is known",
        quick=True,
        tests=BACK,
    ),
    Plant(
        "a window is what it shows now",
        PAST,
        "        if not len(self.change):\n            return result.page(window).copy()\n        if result.tree",
        "        if True:\n            return result.page(window).copy()\n        if result.tree",
        "a client that comes back to a page keeps rows that have left it",
        tests=BACK,
    ),
    Plant(
        "the clock of a token is not looked at",
        PAST,
        "        predicate.now_us = then_us\n        went",
        "        predicate.now_us = now_us\n        went",
        "rows that time has taken meanwhile stay with a client that comes back",
        tests=TIME,
    ),
    Plant(
        "what was folded for one is wrong for the next",
        REWINDS,
        "deltas = [*changelog.deltas(since, relation, nearest), change, *changelog.deltas(until, relation)]",
        "deltas = [change, *changelog.deltas(until, relation)]",
        "the second client that comes back misses what the first one knew",
        tests=BACK,
    ),
)

SLOW_READERS = (
    Plant(
        "conflation forgets removes",
        CONFLATION,
        "kept = np.flatnonzero(was | now)",
        "kept = np.flatnonzero(now)",
        "a slow reader keeps rows that are gone",
    ),
)

BESIDE_COMMITS = (
    Plant(
        "several sessions are resumed without what they are owed then",
        "server/streams/cut.py",
        "        if (passage := self.owed(slow=False)) is not None:",
        "        if (passage := None) is not None:",
        "who comes back to several sessions while commits go on is told that they were edited, and begins anew",
        tests=("tests/server/test_watch_sessions.py::test_it_resumes_though_commits_go_on_while_it_begins",),
    ),
    Plant(
        "digests of several sessions are made one by one",
        "server/streams/cut.py",
        "        return iter(parts)\n",
        "        return (of_several(at, each.say_progress(version, held=held, cut=True)) for at, each in said)\n",
        "a client that verifies finds a difference where there is none",
        tests=("tests/server/test_watch_sessions.py",),
    ),
    Plant(
        "a flush that fails in an unknown way is forgotten",
        "store/sqlite_log.py",
        "            except Exception as error:\n                # Whether",
        "            except sqlite3.Error as error:\n                # Whether",
        "a log has a hole and does not open again, or a hub stays read-only for good",
        tests=("tests/store/test_logs.py",),
    ),
    Plant(
        "documents are as deep as the stack has room",
        "engine/data/documents.py",
        "    if levels_exceed(text, MOST_LEVELS):\n        return False\n    try",
        "    try",
        "a write that was acknowledged is refused when the log is replayed",
        tests=("tests/engine/test_documents.py",),
    ),
)

DURABILITY = (*LOGS, *RECOVERY, *RESUMING_PLANTS, *SLOW_READERS, *BESIDE_COMMITS)
