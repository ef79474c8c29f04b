"""The port's own JSON is protobuf's: both ways, for random messages of every kind."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.web import json_in, json_out
from tesseract_grpc.server.web.json_in import from_json
from tesseract_grpc.server.web.json_out import to_json
from tests.server.web_world import METHODS, message_class

KINDS = sorted({kind.full_name for method in METHODS.values() for kind in (method.input_type, method.output_type)})

_F = FieldDescriptor
TEXTS = ["", "a", "ü 🦀 \u2028", 'quote " back \\ slash', "\x00\x1f\x7f", "-1", "NaN", "x" * 300]
VALUES: dict[int, list[Any]] = {
    _F.TYPE_STRING: TEXTS,
    _F.TYPE_BYTES: [b"", b"\x00", b"\xff" * 7, bytes(range(256))],
    _F.TYPE_BOOL: [True, False],
    _F.TYPE_DOUBLE: [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, -1e16, float("nan"), float("inf"), float("-inf"), 2.0**53],
    _F.TYPE_INT64: [0, -1, 2**63 - 1, -(2**63)],
    _F.TYPE_SINT64: [0, -1, 2**63 - 1, -(2**63)],
    _F.TYPE_SFIXED64: [0, -1, 2**63 - 1, -(2**63)],
    _F.TYPE_UINT64: [0, 1, 2**64 - 1],
    _F.TYPE_FIXED64: [0, 1, 2**64 - 1],
    _F.TYPE_INT32: [0, -1, 2**31 - 1, -(2**31)],
    _F.TYPE_SINT32: [0, -1, 2**31 - 1, -(2**31)],
    _F.TYPE_UINT32: [0, 1, 2**32 - 1],
    _F.TYPE_FIXED32: [0, 1, 2**32 - 1],
}


def fill(message: Any, chance: random.Random, depth: int, length: int) -> Any:
    """Random values in random fields; lists of up to `length` values."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < (0.35 if depth < 3 else 0.7):
            continue
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            value = field.message_type.fields_by_name["value"]
            for key in chance.sample(TEXTS, 3):
                if value.message_type is not None:
                    fill(getattr(message, field.name)[key], chance, depth + 1, length)
                else:
                    getattr(message, field.name)[key] = one(value, chance)
        elif field.message_type is not None and field.is_repeated:
            for _ in range(chance.randrange(3) if depth < 4 else 0):
                fill(getattr(message, field.name).add(), chance, depth + 1, length)
        elif field.message_type is not None:
            found = getattr(message, field.name)
            found.SetInParent()
            if field.message_type.full_name == "google.protobuf.FieldMask":
                found.paths.extend(["a_b", "c"])
            elif field.message_type.full_name.startswith("google.protobuf."):
                found.seconds, found.nanos = chance.choice([(0, 0), (1_700_000_000, 123_456_000), (3, 5_000_000)])
            elif depth < 5:
                fill(found, chance, depth + 1, length)
        elif field.is_repeated:
            values = [one(field, chance) for _ in range(chance.choice([0, 1, 3, length]))]
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, one(field, chance))
    return message


def one(field: Any, chance: random.Random) -> Any:
    if field.enum_type is not None:
        return chance.choice([*field.enum_type.values_by_number, 77])
    return chance.choice(VALUES[field.type])


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_are_printed_and_parsed_as_protobuf_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = message_class(kind)
    for seed in range(12):
        chance = random.Random(f"{kind} {seed}")
        monkeypatch.setattr(json_out, "LONG", chance.choice([0, 100, 1 << 20]))  # in parts, or at once
        monkeypatch.setattr(json_out, "SLICE", chance.choice([1, 2, 50]))
        monkeypatch.setattr(json_in, "LONG", chance.choice([1, 4]))
        message = fill(found(), chance, 0, 9)
        raw = message.SerializeToString()
        text = await to_json(raw, found)
        assert b"\n" not in text
        assert json.loads(text) == json.loads(json_format.MessageToJson(message))
        assert found.FromString(await from_json(text, found)) == json_format.Parse(text, found())
        pretty = json_format.MessageToJson(message, preserving_proto_field_name=True).encode()
        assert found.FromString(await from_json(pretty, found)) == json_format.Parse(pretty, found())


def columns(values: Any) -> bytes:
    batch = {"columns": [{"name": "a", "int64s": {"values": values}}]}
    return json.dumps({"operations": [{"table": "t", "insert": {"rows": batch}}]}).encode()


WRITE = message_class("tesseract.v1.WriteRequest")


@pytest.mark.parametrize(
    "values",
    [
        ["1"] * 99 + ["2 3"],
        ["1"] * 99 + [""],
        ["1"] * 99 + ["1_0"],
        ["1"] * 99 + ["٣"],
        ["1"] * 99 + [True],
        [1] * 99 + [True],
        [1] * 99 + [2**63],
        ["1"] * 99 + [str(2**63)],
        [1.5] * 99,
        [1] * 99 + [None],
        [[1]] * 99,
    ],
)
async def test_a_list_that_is_not_plain_is_what_protobuf_makes_of_it(values: Any) -> None:
    text = columns(values)
    try:
        expected = json_format.Parse(text, WRITE())
    except (json_format.ParseError, ValueError):
        with pytest.raises(Refusal, match=r"the JSON is not a tesseract\.v1\.WriteRequest"):
            await from_json(text, WRITE)
    else:
        assert WRITE.FromString(await from_json(text, WRITE)) == expected


async def test_long_lists_are_taken_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    parse = json_format.ParseDict

    def watched(tree: Any, message: Any) -> Any:
        seen.append(json.dumps(tree))
        return parse(tree, message)

    monkeypatch.setattr(json_format, "ParseDict", watched)
    found = WRITE.FromString(await from_json(columns([str(2**53 + n) for n in range(1_000)]), WRITE))
    assert list(found.operations[0].insert.rows.columns[0].int64s.values) == [2**53 + n for n in range(1_000)]
    assert len(seen[0]) < 200


async def test_a_large_message_lets_others_run() -> None:
    found = message_class("tesseract.v1.QueryResponse")()
    for n in range(40):
        found.rows.columns.add(name=f"c{n}").int64s.values.extend(range(10_000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    text = await to_json(found.SerializeToString(), message_class("tesseract.v1.QueryResponse"))
    counting.cancel()
    assert turns >= 3
    assert json.loads(text) == json.loads(json_format.MessageToJson(found))
