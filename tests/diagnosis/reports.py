"""Diagnoses as a server might tell them, with names and values of somebody who means harm."""

from __future__ import annotations

from datetime import UTC, datetime

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc.client import Diagnosis

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "'\"></title><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>body{display:none}</style>",
    "&lt;b&gt; \x1b[2J\u202e\u0000 \ud800".encode("utf-8", "replace").decode(),
    "javascript:document.title='owned'",
)


def hostile() -> Diagnosis:
    """Everything that a client or a writer can name is one of these."""
    columns = []
    for place, text in enumerate(HOSTILE):
        profile = dpb.ColumnProfile(
            column=schema_pb2.Column(name=text, type=value_pb2.DATA_TYPE_STRING, primary_key=not place),
            distinct_count=place,
            null_count=place,
            min=value_pb2.Value(string_value=text),
            max=value_pb2.Value(string_value=text),
            samples=[value_pb2.Value(string_value=text)],
            top_values=[dpb.ValueCount(value=value_pb2.Value(string_value=text), count=place + 1)],
        )
        columns.append(profile)
    numbers = dpb.ColumnProfile(
        column=schema_pb2.Column(name="numbers", type=value_pb2.DATA_TYPE_FLOAT64),
        distinct_count=3,
        histogram=[1, 0, 4, 2],
        histogram_low=-1.0,
        histogram_high=7.0,
    )
    message = dpb.DiagnoseTableResponse(
        table=schema_pb2.Table(
            name="hubs/default/tables/t",
            row_count=10,
            description=HOSTILE[1],
            memory=schema_pb2.TableMemory(total_bytes=100, key_bytes=25, row_bytes=25, history_bytes=50),
        ),
        version=7,
        columns=[*columns, numbers],
        indexes=[dpb.IndexUse(column=text, uses=1) for text in HOSTILE],
        filters=[dpb.FilterUse(filter=f"{text} == ?", columns=[text], uses=1) for text in HOSTILE],
        sessions=[dpb.SessionCost(session=f"hubs/default/sessions/{text}", share=0.5) for text in HOSTILE],
        issues=[
            dpb.Issue(severity=dpb.SEVERITY_WARNING, kind=text, message=text, recommendation=text) for text in HOSTILE
        ],
    )
    message.counted_since.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    return Diagnosis.of(message)
