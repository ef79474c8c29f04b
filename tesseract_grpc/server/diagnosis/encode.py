"""Diagnoses as messages."""

from __future__ import annotations

from tesseract_grpc.engine.data.filter_uses import FilterUse
from tesseract_grpc.engine.data.schema import ColumnSchema, Scalar
from tesseract_grpc.engine.operators.column_profile import ColumnProfile
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.values import encode_duration, encode_scalar
from tesseract_grpc.server.diagnosis.costs import SessionCost
from tesseract_grpc.server.diagnosis.facts import Facts, IndexFact
from tesseract_grpc.server.diagnosis.issues import Issue
from tesseract_grpc.server.names import of_session

pb = twin.diagnosis_service

MOST_FILTERS = 100
"""The most filters that are told."""
LONGEST = 1_000
"""Characters of a value that is shown; of longer ones the beginning is."""


def encode_facts(facts: Facts, hub: str, message: pb.DiagnoseTableResponse) -> None:
    """Writes into a response what is known of a table."""
    columns = encode_columns([column.schema for column in facts.columns])
    memory = {each.column: each for each in facts.table.memory.columns}
    for described, column in zip(columns, facts.columns, strict=True):
        profile = _encode_column(column)
        profile.column.CopyFrom(described)
        held = memory.get(column.schema.name)
        if held is not None:
            profile.memory.CopyFrom(
                twin.schema.ColumnMemory(
                    column=held.column,
                    value_bytes=held.values,
                    dictionary_bytes=held.dictionary,
                    dictionary_entries=held.entries,
                )
            )
        message.columns.append(profile)
    message.indexes.extend(map(_encode_index, facts.table.indexes))
    message.filters.extend(map(_encode_filter, facts.table.filters[:MOST_FILTERS]))
    message.sessions.extend(_encode_session(cost, hub) for cost in facts.sessions.sessions)


def encode_issue(issue: Issue) -> pb.Issue:
    """What was found."""
    return pb.Issue(
        severity=int(issue.severity),  # type: ignore[arg-type]  # the numbers are those of the wire
        kind=issue.kind,
        message=issue.message,
        recommendation=issue.recommendation,
        column=issue.column,
    )


def _encode_column(column: ColumnProfile) -> pb.ColumnProfile:
    schema = column.schema
    message = pb.ColumnProfile(
        distinct_count=column.distinct,
        null_count=column.nulls,
        cardinality=column.distinct / column.rows if column.rows else 0.0,
        mean=column.mean,
        samples=[_value(value, schema) for value in column.samples],
        top_values=[pb.ValueCount(value=_value(value, schema), count=count) for value, count in column.top],
    )
    if column.minimum is not None:
        message.min.CopyFrom(_value(column.minimum, schema))
        message.max.CopyFrom(_value(column.maximum, schema))
    if column.histogram is not None:
        message.histogram.extend(column.histogram.counts)
        message.histogram_low, message.histogram_high = column.histogram.low, column.histogram.high
    return message


def _value(value: Scalar, schema: ColumnSchema) -> twin.value.Value:
    """A value as it is shown: of a long text the beginning, as a text."""
    if isinstance(value, str) and len(value) > LONGEST:
        return twin.value.Value(string_value=value[:LONGEST] + "...")
    return encode_scalar(value, schema.type)


def _encode_index(index: IndexFact) -> pb.IndexUse:
    return pb.IndexUse(
        column=",".join(index.columns),
        kind=int(index.kind),  # type: ignore[arg-type]  # as above
        primary=index.primary,
        uses=index.uses,
        bytes=index.bytes,
    )


def _encode_filter(use: FilterUse) -> pb.FilterUse:
    message = pb.FilterUse(
        filter=use.shape.text,
        columns=use.shape.columns,
        uses=use.uses,
        indexed_uses=use.indexed,
        rows_examined=use.examined,
        rows_returned=use.returned,
    )
    encode_duration(use.nanoseconds / 1e9, message.duration)
    return message


def _encode_session(cost: SessionCost, hub: str) -> pb.SessionCost:
    message = pb.SessionCost(
        session=of_session(hub, cost.name),
        commits=cost.commits,
        rows_examined=cost.examined,
        share=cost.share,
        watcher_count=cost.watchers,
    )
    encode_duration(cost.nanoseconds / 1e9, message.duration)
    return message
