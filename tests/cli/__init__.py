"""The command `tesseract-grpc`: its parts by themselves, its commands against a real server, and the whole demo."""
