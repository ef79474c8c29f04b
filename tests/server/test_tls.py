"""TLS, mutual TLS, and which addresses may be served without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc.server import ConfigError, Server, ServerConfig
from tests.server.support import Api, write_tokens


class Authority:
    """A certificate authority, with a server's certificate and a client's in files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        authority = trustme.CA()
        server, client = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("client.example")
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        authority.cert_pem.write_to_path(str(self.ca))
        for blob in server.cert_chain_pems:
            blob.write_to_path(str(self.cert), append=True)
        server.private_key_pem.write_to_path(str(self.key))
        self.client_key = client.private_key_pem.bytes()
        self.client_cert = b"".join(blob.bytes() for blob in client.cert_chain_pems)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def info(server: Server, credentials: grpc.ChannelCredentials | None) -> hpb.GetServerInfoResponse:
    target = f"localhost:{server.port}"
    channel = grpc.aio.insecure_channel(target) if credentials is None else grpc.aio.secure_channel(target, credentials)
    async with channel:
        return await Api(channel).hubs.GetServerInfo(hpb.GetServerInfoRequest(), timeout=5)


async def test_tls_serves_those_who_trust_the_authority(authority: Authority) -> None:
    config = ServerConfig(listen="127.0.0.1:0", tls_cert=authority.cert, tls_key=authority.key)
    async with Server(config) as server:
        trusting = grpc.ssl_channel_credentials(authority.ca.read_bytes())
        assert (await info(server, trusting)).software_version
        with pytest.raises(grpc.aio.AioRpcError):
            await info(server, None)
        with pytest.raises(grpc.aio.AioRpcError):
            await info(server, grpc.ssl_channel_credentials())


async def test_mutual_tls_wants_a_certificate_of_the_client(authority: Authority, tmp_path: Path) -> None:
    config = ServerConfig(
        listen="127.0.0.1:0", tls_cert=authority.cert, tls_key=authority.key, tls_client_ca=authority.ca
    )
    stranger = Authority(tmp_path / "stranger")
    ca = authority.ca.read_bytes()
    async with Server(config) as server:
        known = grpc.ssl_channel_credentials(ca, authority.client_key, authority.client_cert)
        assert (await info(server, known)).software_version
        for credentials in (
            grpc.ssl_channel_credentials(ca),
            grpc.ssl_channel_credentials(ca, stranger.client_key, stranger.client_cert),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await info(server, credentials)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:1", "example.com:1"])
def test_a_public_address_needs_tls_and_a_way_to_know_clients(
    authority: Authority, tmp_path: Path, listen: str
) -> None:
    pair = {"tls_cert": authority.cert, "tls_key": authority.key}
    tokens = write_tokens(tmp_path)
    alone: list[dict[str, Any]] = [{}, pair, {"token_file": tokens}]
    for options in alone:
        with pytest.raises(ConfigError, match="--insecure"):
            Server(ServerConfig.model_validate({"listen": listen, **options}))
    together: list[dict[str, Any]] = [
        {"insecure": True},
        {**pair, "token_file": tokens},
        {**pair, "tls_client_ca": authority.ca},
    ]
    for options in together:
        Server(ServerConfig.model_validate({"listen": listen, **options}))


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "127.9.9.9:0", "unix:/tmp/x.sock"])
def test_the_own_machine_needs_nothing(listen: str) -> None:
    Server(ServerConfig(listen=listen))


@pytest.mark.parametrize(
    "options",
    [
        {"tls_cert": "cert"},
        {"tls_key": "key"},
        {"tls_client_ca": "ca"},
        {"tls_cert": "/nowhere/cert.pem", "tls_key": "key"},
        {"tls_cert": "key", "tls_key": "not_pem"},
        {"token_file": "/nowhere/tokens.toml"},
        {"listen": "localhost"},
        {"listen": "localhost:port"},
        {"listen": "localhost:99999"},
        {"listen": ":50051"},
    ],
)
def test_files_and_addresses_that_make_no_sense_are_refused(
    authority: Authority, tmp_path: Path, options: dict[str, str]
) -> None:
    (tmp_path / "not_pem").write_text("hello")
    files = {"cert": authority.cert, "key": authority.key, "ca": authority.ca, "not_pem": tmp_path / "not_pem"}
    with pytest.raises(ConfigError):
        Server(ServerConfig.model_validate({name: files.get(value, value) for name, value in options.items()}))
