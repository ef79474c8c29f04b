"""Tables with more columns than a word has bits: the columns from the 64th on share one mark of what changed."""

from __future__ import annotations

import pytest

from tesseract_grpc.engine.hub import Hub
from tests.engine import translate
from tests.engine.viewer import TableViewer, Viewer
from tests.oracle.answer import shape_of
from tests.oracle.asks import Compare, Definition, Field, Put
from tests.oracle.model import Model
from tests.oracle.question import By, Question, Span

WIDE = Definition("wide", (Field("id", "int64", key=True), *(Field(f"c{n}", "int64") for n in range(1, 80))))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("span", [Span(), Span(0, 2)])
def test_a_change_of_a_late_column_reaches_every_reader(rows: int, span: Span) -> None:
    hub, model = Hub("test", epoch="test"), Model()
    hub.create_table("wide", translate.schema(WIDE))
    model.create(WIDE)
    asked = (
        Question("wide"),
        Question("wide", columns=("c5", "c70", "c79")),
        Question("wide", sort=(By("c78"),)),
        Question("wide", sort=(By("c2"), By("c66", descending=True))),
        Question("wide", Compare("c64", ">", 1)),
        Question("wide", Compare("c63", ">", 1), sort=(By("c79"),)),
    )
    viewers = [
        Viewer(hub.open_session(translate.query(question), f"s{number}"), question, shape_of(model, question), span)
        for number, question in enumerate(asked)
    ]
    table_viewer = TableViewer(hub.watch_table("wide", old_values=True), WIDE)
    puts = [Put("wide", "insert", tuple({"id": key, "c63": key, "c64": key} for key in range(5)))]
    for step, column in enumerate(("c2", "c63", "c64", "c65", "c66", "c70", "c78", "c79")):
        puts.append(Put("wide", "update", tuple({"id": key, column: 5 - step - key} for key in range(rows))))
    for put in puts:
        hub.commit([translate.write(put, WIDE)])
        model.commit([put], hub.version)
        hub.check()
        table_viewer.catch_up(hub.version)
        table_viewer.compare(model)
        for viewer in viewers:
            viewer.take(hub.version)
            viewer.compare(*model.answer(viewer.question, viewer.span))
    for viewer in viewers:
        viewer.finish()
