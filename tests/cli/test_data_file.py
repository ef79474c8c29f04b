"""Files of rows: every format, the types that are told, the key that is chosen, and what is refused."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tesseract_grpc.cli.columns import Column
from tesseract_grpc.cli.data_file import CSV_BLOCK_BYTES, DataFile
from tesseract_grpc.cli.errors import BadArgument, CommandFailed
from tesseract_grpc.cli.inference import convert, infer_columns
from tesseract_grpc.cli.key_choice import choose_key, numbered

LINES = [
    {"id": 1, "name": "Ada", "x": 1.5, "ok": True, "tags": ["a", "b"]},
    {"id": 2, "name": None, "x": 2.0, "ok": None, "tags": []},
    {"id": 3, "name": "", "x": None, "ok": False, "tags": None},
]


def write(folder: Path, name: str, text: str) -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def look(path: Path, **overrides: str) -> DataFile:
    """The file, looked at."""
    file = DataFile.open(path, overrides)
    file.look()
    return file


def types(file: DataFile) -> dict[str, str]:
    """The table types of its columns."""
    return {column.name: column.type for column in infer_columns(file.schema, file.overrides)}


def rows(file: DataFile, size: int = 1000) -> list[dict[str, Any]]:
    """All its rows, as the table would get them."""
    columns = [Column(name, kind) for name, kind in types(file).items()]
    batches = file.batches(size, [column.name for column in columns])
    return [row for batch in batches for row in convert(batch, columns).to_pylist()]


def test_csv_types_and_values(tmp_path: Path) -> None:
    text = (
        "id,name,x,ok,day,at,clock,nothing\n"
        '1,"Ada, \nL.",1.5,true,2013-03-08,2013-03-08T14:05:00Z,10:20:30,\n'
        "2,,NA,,NULL,2013-03-08T14:05:00.5Z,10:20:31,\n3,NA,NaN,false,2013-03-09,,,\n"
    )
    file = look(write(tmp_path, "a.csv", text))
    assert file.row_count == 3
    assert types(file) == {
        "id": "int64",
        "name": "string",
        "x": "float64",
        "ok": "bool",
        "day": "timestamp",
        "at": "timestamp",
        "clock": "string",
        "nothing": "string",
    }
    first, second, third = rows(file)
    assert first["name"] == "Ada, \nL."
    assert first["day"] == datetime(2013, 3, 8, tzinfo=UTC)
    assert first["clock"] == "10:20:30"
    assert second["name"] is None, "an empty field is null"
    assert second["at"] == datetime(2013, 3, 8, 14, 5, 0, 500_000, tzinfo=UTC)
    assert second["x"] is None
    assert second["day"] is None
    assert third["name"] == "NA", "a text stays what it is"
    assert math.isnan(third["x"])
    assert third["nothing"] is None


@pytest.mark.parametrize(
    ("start", "last", "expected"),
    [
        ("1", "x", "string"),
        ("1", "1.5", "float64"),
        ("1.5", "x", "string"),
        ("2013-03-08", "2013-03-08 14:00:00", "timestamp"),
        ("2013-03-08", "soon", "string"),
        ("true", "7", "string"),
        ("", "7", "int64"),
        ("", "2013-03-08", "string"),
    ],
)
def test_a_value_at_the_end_of_a_long_file_decides_the_type(
    tmp_path: Path, start: str, last: str, expected: str
) -> None:
    line = f"{'y' * 100},{start}\n"
    lines = CSV_BLOCK_BYTES // len(line) + 10
    file = look(write(tmp_path, "long.csv", "text,value\n" + line * lines + f"y,{last}\n"))
    assert file.row_count == lines + 1
    assert types(file)["value"] == expected
    assert sum(batch.num_rows for batch in file.batches(10_000, ["value"])) == lines + 1


def test_json_lines_with_late_fields_and_nested_values(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(line) for line in [*LINES, {"id": 4, "late": "2013-03-08 10:00:00"}])
    file = look(write(tmp_path, "a.jsonl", text))
    assert file.row_count == 4
    assert types(file) == {
        "id": "int64",
        "name": "string",
        "x": "float64",
        "ok": "bool",
        "tags": "json",
        "late": "timestamp",
    }
    found = rows(file)
    assert [row["tags"] for row in found] == ['["a", "b"]', "[]", None, None]
    assert found[0]["late"] is None
    assert found[3]["late"] == datetime(2013, 3, 8, 10, tzinfo=UTC)


def test_parquet_types_and_batches(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array(range(2500), pa.uint32()),
            "kind": pa.array(["a", "b"] * 1250).dictionary_encode(),
            "at": pa.array([0] * 2500, pa.timestamp("ms", "Europe/Berlin")),
            "price": pa.array([None] * 2500, pa.decimal128(10, 2)),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    file = look(tmp_path / "a.parquet")
    assert file.row_count == 2500
    assert types(file) == {"id": "int64", "kind": "string", "at": "timestamp", "price": "float64"}
    assert [batch.num_rows for batch in file.batches(1000, ["id"])] == [1000, 1000, 500]
    assert rows(file)[-1] == {"id": 2499, "kind": "b", "at": datetime(1970, 1, 1, tzinfo=UTC), "price": None}


def test_a_type_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "zip,at\n01234,2013-03-08T14:05:00-05:00\n99999,2013-03-08T00:00:00Z\n")
    assert types(look(path)) == {"zip": "int64", "at": "timestamp"}
    file = look(path, zip="string", at="timestamp")
    assert types(file) == {"zip": "string", "at": "timestamp"}
    assert rows(file)[0] == {"zip": "01234", "at": datetime(2013, 3, 8, 19, 5, tzinfo=UTC)}


def test_a_value_that_does_not_fit_the_given_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="'x'") as caught:
        look(write(tmp_path, "a.csv", "n\n1\nx\n"), n="int64")
    assert caught.value.reason == "UNREADABLE_FILE"
    file = look(write(tmp_path, "b.csv", "n\n1\n"), n="timestamp")
    with pytest.raises(CommandFailed, match='column "n"') as caught:
        rows(file)
    assert caught.value.reason == "WRONG_TYPE"


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="cannot tell the format"):
        DataFile.open(tmp_path / "a.xlsx", {})
    with pytest.raises(CommandFailed, match="Parquet magic bytes"):
        look(write(tmp_path, "a.parquet", "not a parquet file, whatever its name may say"))
    with pytest.raises(CommandFailed, match='called "a"'):
        look(write(tmp_path, "b.csv", "a,a\n1,2\n"))
    with pytest.raises(BadArgument, match='no column "b"'):
        infer_columns(look(write(tmp_path, "c.csv", "a\n1\n")).schema, {"b": "string"})
    with pytest.raises(CommandFailed, match='"raw" is binary'):
        infer_columns(pa.schema([("raw", pa.binary())]), {})


@pytest.mark.parametrize(
    ("text", "table", "key"),
    [
        ("a,id\n1,1\n1,2\n", "things", ("id",)),
        ("a,thing_id\n1,1\n1,2\n", "things", ("thing_id",)),
        ("a,b\n1,1\n2,1\n", "things", ("a",)),
        ("a,id\n1,1\n2,1\n", "things", ("a",)),
        ("a,b\n1,1\n1,2\n", "things", ("row",)),
        ("a,row\n,1\n2,1\n", "things", ("row_",)),
        ("x\n1.5\n2.5\n", "things", ("row",)),
    ],
)
def test_the_key_is_a_column_that_names_every_row(tmp_path: Path, text: str, table: str, key: tuple[str, ...]) -> None:
    file = look(write(tmp_path, "a.csv", text))
    choice = choose_key(file, infer_columns(file.schema, {}), table, ())
    assert choice.columns == key
    assert choice.numbered == key[0].startswith("row")


def test_the_key_can_be_given_and_is_checked(tmp_path: Path) -> None:
    file = look(write(tmp_path, "a.csv", "a,b,x\n1,1,1.5\n"))
    columns = infer_columns(file.schema, {})
    assert choose_key(file, columns, "things", ("a", "b")).columns == ("a", "b")
    with pytest.raises(BadArgument, match='no column "c"'):
        choose_key(file, columns, "things", ("c",))
    with pytest.raises(BadArgument, match="cannot be a key"):
        choose_key(file, columns, "things", ("x",))


def test_numbered_rows_count_through_all_batches(tmp_path: Path) -> None:
    file = look(write(tmp_path, "a.csv", "a\n" + "7\n" * 10))
    batches = list(numbered(file.batches(4, ["a"]), "row"))
    assert [batch.num_rows for batch in batches] == [4, 4, 2]
    assert [n for batch in batches for n in batch.column("row").to_pylist()] == list(range(1, 11))
