"""`python -m tesseract_grpc.cli`, the same as the command `tesseract-grpc`."""

from tesseract_grpc.cli.main import main

if __name__ == "__main__":
    main()
