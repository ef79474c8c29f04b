"""Tables in memory over gRPC, with queries that stay live.

The package has five rooms, and imports run in one direction: `cli -> server -> store -> engine` and
`client -> _proto`. Applications use `tesseract_grpc.client`; tests use `tesseract_grpc.testing`; nothing is imported
here, so that a program which only needs the client never loads the server.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
