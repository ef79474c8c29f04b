"""The server through real sockets, and its codec by properties."""
