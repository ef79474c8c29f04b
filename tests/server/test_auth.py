"""Bearer tokens: who may call what."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import ConfigError
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.roles import ROLE_OF
from tesseract_grpc.server.tokens import Role, read_tokens
from tests.server.support import Api, refused, serving, take_apart, user, user_columns, write_tokens

ROLES = ("read", "write", "admin")


def token(role: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {role}-token-000000"),)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(token_file=write_tokens(tmp_path)) as (_, api):
        yield api


async def outcome(api: Api, method: str, metadata: tuple[tuple[str, str], ...]) -> str:
    """The reason that a call of any method ends with, as far as tokens are concerned ("" when they let it through).

    The request is empty, which every method refuses, or answers, once it is let through.
    """
    descriptor = next(
        m for service in twin.SERVICES for m in service.methods if f"/{service.full_name}/{m.name}" == method
    )
    try:
        if descriptor.client_streaming:
            stream = api.raw.stream_stream(method)(metadata=metadata)
            await stream.write(b"")
            await stream.done_writing()
            await stream.read()
        elif descriptor.server_streaming:
            await api.raw.unary_stream(method)(b"", metadata=metadata).read()
        else:
            await api.raw.unary_unary(method)(b"", metadata=metadata)
    except grpc.aio.AioRpcError as error:
        reason = take_apart(error).reason
        return reason if reason in ("TOKEN_MISSING", "TOKEN_UNKNOWN", "ROLE_REQUIRED") else ""
    return ""


async def test_every_method_wants_its_role(guarded: Api) -> None:
    for service in twin.SERVICES:
        for method in service.methods:
            name = f"/{service.full_name}/{method.name}"
            needed = ROLE_OF[name]
            assert needed is not None
            assert await outcome(guarded, name, ()) == "TOKEN_MISSING", name
            assert await outcome(guarded, name, token("nobodys")) == "TOKEN_UNKNOWN", name
            for rank, role in enumerate(ROLES, 1):
                wanted = "" if rank >= needed else "ROLE_REQUIRED"
                assert await outcome(guarded, name, token(role)) == wanted, (name, role)


def test_the_table_of_roles_has_every_method_and_no_other() -> None:
    ours = {f"/{service.full_name}/{method.name}" for service in twin.SERVICES for method in service.methods}
    assert {name for name in ROLE_OF if name.startswith("/tesseract.")} == ours


def test_the_protos_say_the_same_roles() -> None:
    for path in Path("protos/tesseract/v1").glob("*_service.proto"):
        comments: list[str] = []
        for line in path.read_text().splitlines():
            if line.strip().startswith("//"):
                comments.append(line)
            elif line.strip().startswith("rpc "):
                method = line.split()[1].split("(")[0]
                needed = next(role for name, role in ROLE_OF.items() if name.endswith(f"/{method}"))
                assert needed is not None
                said = " ".join(comments).rpartition("Role: ")[2]
                assert said.startswith((needed.name.lower(), "that of its creation")), method
            else:
                comments = []


async def test_the_refusals_have_their_codes(guarded: Api) -> None:
    request = spb.GetSessionRequest(name="x")
    found = await refused(guarded.sessions.GetSession(request))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    found = await refused(guarded.sessions.GetSession(request, metadata=(("authorization", "Basic abc"),)))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    found = await refused(guarded.sessions.GetSession(request, metadata=(("authorization", "Bearer wrong"),)))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")
    found = await refused(guarded.sessions.UpdateSession(spb.UpdateSessionRequest(), metadata=token("read")))
    assert (found.code, found.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    assert found.metadata["role"] == "write"


async def test_named_sessions_want_write_and_anonymous_ones_read(guarded: Api) -> None:
    table = schema_pb2.Table(columns=user_columns())
    await guarded.tables.CreateTable(pb.CreateTableRequest(table_id="users", table=table), metadata=token("admin"))
    session = spb.Session(query=q.Query(table="users"))
    named = spb.CreateSessionRequest(session_id="named", session=session)
    sessions = guarded.sessions
    assert (await refused(sessions.CreateSession(named, metadata=token("read")))).reason == "ROLE_REQUIRED"
    await sessions.CreateSession(named, metadata=token("write"))
    delete = spb.DeleteSessionRequest(name="named")
    assert (await refused(sessions.DeleteSession(delete, metadata=token("read")))).reason == "ROLE_REQUIRED"
    await sessions.DeleteSession(delete, metadata=token("write"))
    made = await sessions.CreateSession(spb.CreateSessionRequest(session=session), metadata=token("read"))
    await sessions.DeleteSession(spb.DeleteSessionRequest(name=made.session.name), metadata=token("read"))


async def test_health_needs_no_token_and_reflection_does(guarded: Api) -> None:
    response = await guarded.health.Check(health_pb2.HealthCheckRequest())
    assert response.status == health_pb2.HealthCheckResponse.SERVING
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await guarded.reflection.ServerReflectionInfo(iter([request])).read()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    answer = await guarded.reflection.ServerReflectionInfo(iter([request]), metadata=token("read")).read()
    assert len(answer.list_services_response.service) >= 5


async def test_without_tokens_everybody_may_do_everything(api: Api) -> None:
    await api.create_users("more")
    await api.insert([user(1)], table="more")


def test_a_token_file_holds_tokens_or_their_digests(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    digest = hashlib.sha256(b"a-token-that-is-long").hexdigest()
    path.write_text(f'[[tokens]]\nname = "x"\nrole = "write"\nsha256 = "{digest}"\n')
    tokens = read_tokens(path)
    found = tokens.find("a-token-that-is-long")
    assert found is not None
    assert (found.name, found.role) == ("x", Role.WRITE)
    assert tokens.find("a-token-that-is-lonh") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "tokens = 1",
        "[[tokens",
        'other = 1\n[[tokens]]\nrole = "read"\ntoken = "0123456789abcdef"',
        '[[tokens]]\nrole = "king"\ntoken = "0123456789abcdef"',
        '[[tokens]]\nrole = "read"',
        '[[tokens]]\nrole = "read"\ntoken = "short"',
        '[[tokens]]\nrole = "read"\nsha256 = "abc"',
        '[[tokens]]\nrole = "read"\nsha256 = "zz"',
        '[[tokens]]\nrole = "read"\ntoken = "0123456789abcdef"\nsha256 = "00"',
        '[[tokens]]\nrole = "read"\ntoken = "0123456789abcdef"\nextra = 1',
        '[[tokens]]\nrole = "read"\ntoken = "0123456789abcdef"\n[[tokens]]\nrole = "admin"\ntoken = "0123456789abcdef"',
    ],
)
def test_a_token_file_that_is_wrong_stops_the_server(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_tokens(path)
    assert "0123456789abcdef" not in str(caught.value)
