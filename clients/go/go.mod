module github.com/tesseract-grpc/tesseract-grpc/clients/go

go 1.24.0

require (
	// The details of errors (google.rpc.ErrorInfo and others).
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260120221211-b8f7ae30c516
	// The transport. The last minor version that runs on Go 1.24.
	google.golang.org/grpc v1.80.0
	// The messages.
	google.golang.org/protobuf v1.36.11
)

require (
	golang.org/x/net v0.49.0 // indirect
	golang.org/x/sys v0.40.0 // indirect
	golang.org/x/text v0.33.0 // indirect
)
