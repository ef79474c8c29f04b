"""Tokens and TLS, from this side."""

import logging
from pathlib import Path
from typing import Any

import pytest
import trustme

from tesseract_grpc.client import (
    AsyncEventHorizon,
    HubInfo,
    InvalidRequest,
    PermissionDenied,
    Retry,
    Tls,
    Unauthenticated,
    Unavailable,
)
from tesseract_grpc.testing import running_server

TOKENS = """
[[tokens]]
name = "reader"
token = "reader-token-000000"
role = "read"

[[tokens]]
name = "root"
token = "root-token-0000000000"
role = "admin"
"""
COLUMNS = [{"name": "id", "type": "int64", "primary_key": True}]


async def ask(address: str, **options: Any) -> HubInfo:
    retry = Retry(attempts=2, initial_backoff=0.01)
    async with AsyncEventHorizon.connect(address, timeout=5, retry=retry, **options) as hub:
        return await hub.info()


async def test_roles_of_tokens(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    with running_server(token_file=tokens) as server:
        async with AsyncEventHorizon.connect(server.address, token="root-token-0000000000") as hub:
            await (await hub.create_tesseract("t", COLUMNS)).add({"id": 1})
        async with AsyncEventHorizon.connect(server.address, token="reader-token-000000") as hub:
            table = await hub.get_tesseract("t")
            assert await table.get_data() == [{"id": 1}]
            async with (await hub.create_session(table="t")).mirror() as mirror:
                assert mirror.rows() == [{"id": 1}]
            with pytest.raises(PermissionDenied):
                await table.add({"id": 2})
        for token in (None, "no-such-token-000000"):
            with pytest.raises(Unauthenticated):
                await ask(server.address, token=token)


async def test_mutual_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    served, known = authority.issue_cert("tesseract.example"), authority.issue_cert("client.example")
    files = {name: tmp_path / name for name in ("ca", "cert", "key", "client", "client_key")}
    authority.cert_pem.write_to_path(str(files["ca"]))
    served.cert_chain_pems[0].write_to_path(str(files["cert"]))
    served.private_key_pem.write_to_path(str(files["key"]))
    known.cert_chain_pems[0].write_to_path(str(files["client"]))
    known.private_key_pem.write_to_path(str(files["client_key"]))
    with running_server(tls_cert=files["cert"], tls_key=files["key"], tls_client_ca=files["ca"]) as server:
        name = "tesseract.example"
        tls = Tls(files["ca"], files["client"], files["client_key"], server_name=name)
        assert (await ask(server.address, tls=tls)).name == "default"
        for stranger in (None, Tls(), Tls(files["ca"], server_name=name), Tls(files["ca"])):
            with pytest.raises(Unavailable):
                await ask(server.address, tls=stranger)


async def test_a_token_in_the_clear_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for address in ("localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/tmp/socket"):
        await AsyncEventHorizon.connect(address, token="secret").close()
    await AsyncEventHorizon.connect("example.com:1", token="secret", tls=Tls()).close()
    await AsyncEventHorizon.connect("example.com:1").close()
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        await AsyncEventHorizon.connect("example.com:1", token="secret").close()
    assert "unencrypted" in caplog.text
    assert "secret" not in caplog.text


async def test_a_certificate_without_its_key() -> None:
    with pytest.raises(InvalidRequest):
        AsyncEventHorizon.connect("localhost:1", tls=Tls(cert_file="client.pem"))
