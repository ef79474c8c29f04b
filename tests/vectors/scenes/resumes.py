"""Coming back: with nothing lost, or with a word about why not."""

from tests.vectors.scene import asks, away, commit, delete, groups, insert, item, scene, update, windowed

ROWS = [item(id, f"name {id % 3}", qty=10 * id) for id in range(8)]
BY_QTY = asks("qty >= 10", ["qty"])
MEANWHILE = (
    commit(update({"id": 2, "qty": 65}), insert(item(30, qty=45))),
    commit(delete(4), update({"id": 7, "qty": 1})),
    commit(insert(item(4, "again", qty=15))),
)
AFTER = commit(update({"id": 30, "qty": 12, "name": "after"}))
FORGETFUL = {"history_commits": 2}
MANY = tuple(commit(update({"id": 1, "qty": qty})) for qty in range(11, 17))

SCENES = (
    scene(
        "resume_nothing_missed",
        "Nothing happened meanwhile: the mirror stays as it is.",
        away("disconnect"),
        commit(update({"id": 3, "qty": 12})),
        shows="resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_net_change",
        "What happened meanwhile, as one net change.",
        away("disconnect", *MEANWHILE),
        AFTER,
        shows="resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_twice",
        "Away twice.",
        away("disconnect", MEANWHILE[0]),
        away("disconnect", *MEANWHILE[1:]),
        AFTER,
        shows="resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_window",
        "A window.",
        away("disconnect", *MEANWHILE),
        AFTER,
        shows="resumed, window",
        rows=ROWS,
        query=BY_QTY,
        watch=windowed(1, 3),
    ),
    scene(
        "resume_groups",
        "Groups.",
        away("disconnect", *MEANWHILE),
        AFTER,
        shows="resumed, groups",
        rows=ROWS,
        query=asks(group=groups("name", total="sum qty")),
    ),
    scene(
        "resume_unconcerned",
        "Commits that do not concern the session: Progress at once.",
        away("disconnect", commit(insert(item(40, qty=-1)))),
        commit(update({"id": 3, "qty": 12})),
        shows="resumed, progress",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_every_commit",
        "One change a commit is not promised over the gap: Lagged says how many are told as one.",
        away("disconnect", *MEANWHILE),
        AFTER,
        shows="resumed, lagged",
        rows=ROWS,
        query=BY_QTY,
        watch=windowed(0, None, delivery=2),
    ),
    scene(
        "resume_restart",
        "The server starts again over its data.",
        away("restart", *MEANWHILE),
        AFTER,
        shows="resumed, restart",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_ended",
        "The server ends the call without an error: the client comes back.",
        away("ended", MEANWHILE[0]),
        AFTER,
        shows="resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_silence",
        "Three intervals without a word: the client leaves, shows its rows as stale, and comes back.",
        away("silence", MEANWHILE[0]),
        AFTER,
        shows="stale, resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    scene(
        "resume_too_old",
        "Longer away than the server remembers.",
        away("disconnect", *MANY),
        commit(update({"id": 3, "qty": 12})),
        shows="Reset, TOO_OLD",
        rows=ROWS,
        query=BY_QTY,
        server=FORGETFUL,
    ),
    scene(
        "resume_without_token",
        "The last message had no token: the client begins anew, because an older token would repeat changes.",
        commit(update({"id": 5, "qty": 13})),
        away("no_token", MEANWHILE[0]),
        AFTER,
        shows="snapshot",
        rows=ROWS,
        query=BY_QTY,
    ),
)
