"""The gRPC server: the only package on the serving side that imports grpc.

A request comes in through `auth` (who calls), `methods` (parsing, and statuses for whatever goes wrong) and `gate` (is
the server open), reaches a handler in `services/`, which speaks to the engine in the engine's words through `codec/`.
Watches are `streams/`. `host` holds what serving adds to a hub. `app` puts it together.

    from tesseract_grpc.server import Server, ServerConfig

    async with Server(ServerConfig(listen="127.0.0.1:0")) as server:
        print(server.address)
"""

from tesseract_grpc.server.app import ServeError, Server, serve
from tesseract_grpc.server.config import ConfigError, Option, ServerConfig, load, options
from tesseract_grpc.server.epochs import new_epochs

__all__ = ["ConfigError", "Option", "ServeError", "Server", "ServerConfig", "load", "new_epochs", "options", "serve"]
