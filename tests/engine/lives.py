"""What becomes of tables, as steps of a history (`world.py`): two exchange their names; one is altered.

There is at most one spare table at a time, which is nearly one of the others. It lives like any table, is exchanged
with the other one there and back, and goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tesseract_grpc.engine.data.errors import AlterationRefused, PreconditionFailed, Reason
from tests.engine import translate
from tests.oracle.alterations import Change, Drop, Rename, follow
from tests.oracle.answer import shape_of
from tests.oracle.asks import Definition
from tests.oracle.model import Model
from tests.oracle.origins import tables_in
from tests.oracle.part import Part
from tests.oracle.question import Question
from tests.oracle.relation import Unlike
from tests.oracle.rows import Refused
from tests.oracle.uses import uses
from tests.world import writes as random_writes
from tests.world.altering import Asked, alterations, names_of
from tests.world.variants import Variant, variant

if TYPE_CHECKING:
    from tests.engine.world import World

SPARE = "spare"


def swap_tables(world: World, rng: Random) -> None:
    """A spare table comes; it is exchanged with the one that it is like; now and then it goes."""
    if world.spare is None:
        make_spare(world, rng)
    elif rng.random() < 0.2:
        drop_spare(world)
        world.fill(rng)
        return
    assert world.spare is not None
    base, made = world.spare
    swap(world, rng, base, made)
    world.fill(rng)


def make_spare(world: World, rng: Random) -> None:
    """A table that is nearly another one, with some rows, and sessions that read both."""
    base = rng.choice(world.definitions())
    world.names += 1
    made = variant(rng, base, world.keys[base.name], f"{SPARE}_{world.names}")
    world.keys = {**world.keys, made.definition.name: made.keys}
    world.create(made.definition)
    world.watch_table(made.definition)
    for _ in range(rng.randint(1, 3)):
        world.write(random_writes.commit(rng, [made.definition], world.model.wrote, world.keys))
    for _ in range(rng.randint(0, 2)):
        world.open_session(rng)
    world.spare = (base.name, made)


def drop_spare(world: World) -> None:
    """Whichever of the two has the spare name goes."""
    assert world.spare is not None
    name = world.spare[1].definition.name
    for view in [view for view in world.model.views if name in reads(world, world.model.views[view])]:
        world.drop_view(view)
    world.drop(name)
    world.model.drop(name)
    world.spare = None


def reads(world: World, question: Question) -> set[str]:
    """The tables that an answer depends on, those below derived ones, too."""
    found = tables_in(question)
    for view in found & world.model.views.keys():
        found |= reads(world, world.model.views[view])
    return found


def missing(world: World, question: Question, name: str, lost: Iterable[str]) -> set[str]:
    """The columns that a question about a table asks for and would not find any more."""
    return {column for column in lost if name in reads(world, question) and uses(question, column)}


def apart(model: Model, questions: Mapping[str, Question]) -> set[str]:
    """Those whose unions are none any more: on a model as it will be, the columns of their sources differ."""
    found = set()
    for name, question in questions.items():
        try:
            shape_of(model, question)
        except Unlike:
            found.add(name)
    return found


def swap(world: World, rng: Random, base: str, made: Variant) -> None:
    spare = made.definition.name
    of_base, of_spare = world.model.definitions[base], world.model.definitions[spare]
    names = {field.name for field in of_spare.fields}
    lost = {base: [f.name for f in of_base.fields if f.name not in names]}
    names = {field.name for field in of_base.fields}
    lost[spare] = [f.name for f in of_spare.fields if f.name not in names]
    ending = {
        session: found
        for session, question in world.questions.items()
        if (found := set().union(*(missing(world, question, name, lost[name]) for name in lost)))
    }
    stuck = {v for v, ask in world.model.views.items() if any(missing(world, ask, name, lost[name]) for name in lost)}
    concerned = {name for name, question in world.questions.items() if {base, spare} & reads(world, question)}
    maybe = {name for name in concerned if made.other_key and depends_on_key(world, name)}
    if not stuck:
        model = world.model.copied()
        model.swap(base, spare)
        stuck = apart(model, model.views)
        asks = {name: world.questions[name] for name in concerned - ending.keys() - maybe}
        either = {field.name for field in (*of_base.fields, *of_spare.fields)}
        ending |= dict.fromkeys(set() if stuck else apart(model, asks), either)
    if stuck or (ending and rng.random() < 0.3):
        before = world.hub.version
        with pytest.raises(PreconditionFailed) as refused:
            world.hub.swap_tables(base, spare, lambda session: True)
        assert refused.value.reason is Reason.TABLE_IN_USE
        assert world.hub.version == before
        if stuck:
            return
    done = world.hub.swap_tables(base, spare)
    assert done.version == world.hub.version
    ended = {end.session.name: end.column for end in done.ended}
    assert ending.keys() <= ended.keys() <= ending.keys() | maybe, f"{ended} have ended, in truth {ending}"
    for name, column in ended.items():
        assert name in maybe or column in ending[name], f"{name} misses {ending[name]} and not {column}"
        assert world.hub.sessions.get(name) is None
    assert {session.name for session in done.sessions} == concerned - ended.keys()
    world.model.swap(base, spare)
    world.keys = {**world.keys, base: world.keys[spare], spare: world.keys[base]}
    world.altered |= {base: world.altered.get(spare, 0), spare: world.altered.get(base, 0)}
    world.answers.clear()
    world.forget(sorted(ended))
    views = {view for view, ask in world.model.views.items() if {base, spare} & reads(world, ask)}
    hand_over(world, sorted(concerned - ended.keys()), {base, spare} | views)


def depends_on_key(world: World, name: str) -> bool:
    """Whether a question may mean nothing when rows are named otherwise: trees, what joins bring along, and a key that
    comes along unasked with the chosen columns of a question below."""
    asked = repr(world.questions[name])
    below = any(word in asked for word in ("OfSub(", "OfSession(", "OfQuery(")) and "columns=('" in asked
    return below or any(word in asked for word in ("tree=", "Join(", "Together(", "Lookup("))


def hand_over(world: World, sessions: Sequence[str], tables: Iterable[str]) -> None:
    """Sessions and tables have become others: who reads them is told so, and reads on."""
    for viewer in world.viewers:
        if viewer.session.name in sessions:
            viewer.edits.append(shape_of(world.model, viewer.question))
            if not viewer.stalled:
                world.catch_up(viewer, simple=False)
    for table_viewer in world.table_viewers:
        if (name := table_viewer.table.name) in tables:
            table_viewer.edits.append(definition_of(world, name))
            if not table_viewer.stalled:
                table_viewer.catch_up(world.hub.version)


def definition_of(world: World, name: str) -> Definition:
    """The columns of a table, derived or not."""
    if name in world.model.views:
        return Definition(name, shape_of(world.model, world.model.views[name]).fields)
    return world.model.definitions[name]


def schema_fits(world: World) -> None:
    """The tables of the hub are those of the model."""
    for name, definition in world.model.definitions.items():
        mine = [(c.name, c.type, c.primary_key) for c in world.hub.table(name).schema.visible]
        true = [(c.name, c.type, c.primary_key) for c in translate.schema(definition).columns]
        assert mine == true, f"table {name} has {mine} and should have {true}"


def alter_table(world: World, rng: Random) -> None:
    """A table is altered, or it is refused and nothing has changed; some alterations are only tried."""
    definition = rng.choice(world.definitions())
    unique = sorted(world.unique)
    if world.spare is not None:  # whose columns are called as those of the table that it is like
        both = [
            set(names_of(world.model.definitions[name])) for name in (world.spare[0], world.spare[1].definition.name)
        ]
        unique = [name for name in unique if not both[0] & both[1] & {name}]
    keys = world.keys[definition.name]
    asked = alterations(rng, definition, keys, unique, lambda: fresh(world), world.spare is None)
    if not asked.changes:
        return
    name = definition.name
    changed = asked.retyped
    give_up_expressions(world, changed)
    renames = {change.column: change.to for change in asked.changes if isinstance(change, Rename)}
    gone = {change.column for change in asked.changes if isinstance(change, Drop)}
    readers = {session: ask for session, ask in world.questions.items() if name in reads(world, ask)}
    concerned = [view for view, ask in world.model.views.items() if name in reads(world, ask)]
    lose = {session: found for session, ask in readers.items() if (found := missing(world, ask, name, gone))}
    stuck = any(missing(world, world.model.views[view], name, gone) for view in concerned)
    unsure = {s for s, ask in readers.items() if any(uses(ask, column) for column in changed)}
    unsure |= {session for session in readers if asked.other_key and depends_on_key(world, session)}
    words = [translate.alteration(change) for change in asked.changes]
    before, model = world.hub.version, world.model.copied()
    refusal, error, done = "", None, None
    try:
        model.alter(name, asked.changes)
        model.views = {view: follow(ask, renames) for view, ask in model.views.items()}
        if not stuck and not (changed or asked.other_key):
            stuck = bool(apart(model, {view: model.views[view] for view in concerned}))
    except Refused as refused:
        refusal = str(refused)
    tried = rng.random() < 0.15
    try:
        done = world.hub.alter_table(name, words, validate_only=tried)
    except (AlterationRefused, PreconditionFailed) as raised:
        error = raised
    if done is None:
        sure = refusal if isinstance(error, AlterationRefused) else stuck
        assert sure or (concerned and (changed or asked.other_key)), f"{error}: {asked.changes}"
        assert world.hub.version == before
        return
    assert not refusal, f"{asked} is not refused, and {refusal}"
    assert not stuck, f"{asked} is not refused for the sake of {concerned}"
    asks = {session: follow(ask, renames) for session, ask in readers.items() if session not in lose.keys() | unsure}
    unlike = apart(model, asks)
    ended = {end.session.name: end.column for end in done.ended}
    why = [end.message for end in done.ended]
    assert lose.keys() | unlike <= ended.keys() <= lose.keys() | unlike | unsure, (
        f"{ended} ended ({why}), in truth {lose} and {unlike}: {asked.changes}"
    )
    for session in lose.keys() - unsure:
        assert ended[session] in lose[session], f"{session} misses {lose[session]} and not {ended[session]}"
    if tried:
        assert (done.version, world.hub.version) == (0, before)
        return
    assert done.version == world.hub.version == before + 1
    shapes = {session: seen(world, ask) for session, ask in readers.items()}
    world.unique -= gone
    become(world, model, asked, renames)
    world.forget(sorted(ended))
    told = {session.name for session in done.sessions}
    for session in readers.keys() - ended.keys() - told:
        assert seen(world, world.questions[session]) == shapes[session], f"{session} is not told of {asked.changes}"
    tables = {relation.name for relation in done.relations.values()}
    assert tables <= {name, *concerned}
    hand_over(world, sorted(told), tables)
    world.fill(rng)


def become(world: World, model: Model, asked: Asked, renames: Mapping[str, str]) -> None:
    """The table is altered: so are the oracle's, and whoever asks for a column that is called otherwise follows."""
    before = world.model.definitions[asked.table]
    world.model.definitions, world.model.rows = model.definitions, model.rows
    world.model.wrote, world.model.born = model.wrote, model.born
    if any(isinstance(each, Change) for each in asked.changes) or asked.definition != before:
        world.altered[asked.table] = world.hub.version
    world.unique = (world.unique - renames.keys()) | set(names_of(asked.definition)) & world.fresh
    world.keys = {**world.keys, asked.table: asked.keys}
    world.questions = {session: follow(ask, renames) for session, ask in world.questions.items()}
    world.model.views = {view: follow(ask, renames) for view, ask in world.model.views.items()}
    for viewer in world.viewers:
        viewer.question = follow(viewer.question, renames)
    world.answers.clear()


def seen(world: World, question: Question) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """The columns that a reader knows of."""
    return [(field.name, field.type, field.names, field.key) for field in shape_of(world.model, question).fields]


def fresh(world: World) -> str:
    """The name of a column that was never there."""
    world.names += 1
    world.fresh.add(f"z{world.names}")
    return f"z{world.names}"


def give_up_expressions(world: World, columns: set[str]) -> None:
    """Ends sessions and derived tables with expressions over columns that are about to be of another type: the oracle's
    expressions know their types."""

    def typed(ask: Question) -> bool:
        return any(uses(each, column) for each in parts_of(ask) for column in columns)

    for view in [view for view, ask in world.model.views.items() if typed(ask)]:
        if view in world.model.views:
            world.drop_view(view)
    closing = [session for session, ask in world.questions.items() if typed(ask)]
    for session in closing:
        world.hub.close_session(session)
    world.forget(closing)


def parts_of(said: Any) -> list[Part]:
    """All expressions in a question."""
    if isinstance(said, Part):
        return [said]
    if isinstance(said, tuple):
        return [found for each in said for found in parts_of(each)]
    if is_dataclass(said):
        return [found for each in fields(said) for found in parts_of(getattr(said, each.name))]
    return []
