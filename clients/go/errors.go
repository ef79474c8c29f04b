package tesseract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Error is every error of this package that comes of a call, by a server or before one is asked. Use errors.As.
type Error struct {
	// Code is the code of the gRPC status.
	Code codes.Code
	// Reason is a word of the closed list in docs/ERRORS.md. A server of a later version may have others; it is empty where
	// no server of Tesseract has answered.
	Reason string
	// Message says for people what is wrong.
	Message string
	// Field is the field of the request that is to blame, when one is.
	Field string
	// Fields are all fields that are to blame.
	Fields []FieldViolation
	// Hint is what to do about it; may be empty.
	Hint string
	// Line is where in an expression it is, counted from 1; 0 when that is not said.
	Line int
	// Resource is the table, session or hub that is to blame, when one is.
	Resource Resource
	// RetryAfter is after which time the server asks to try again; nil when it does not say.
	RetryAfter *time.Duration
	// RowErrors are the first rows that refused a commit, at most 100.
	RowErrors []RowError
	// RowErrorCount is how many refused it in all.
	RowErrorCount uint64
	// Metadata is what else the server says, for example "limit" and "maximum".
	Metadata map[string]string

	status *status.Status
	cause  error
}

// FieldViolation says what is wrong with a field of a request.
type FieldViolation struct{ Field, Message string }

// Resource is something of a server, by its type (for example tesseract.v1.Table) and its resource name.
type Resource struct{ Type, Name string }

// RowError says why one row refused a commit. Operation and Row count from 0, in what [Hub.Commit] was given.
type RowError struct {
	Operation, Row          uint32
	Column, Reason, Message string
}

// ErrClosed is why calls fail after Close; it is found with errors.Is.
var ErrClosed = errors.New("tesseract: closed on this side")

// Error is the message with the reason.
func (e *Error) Error() string {
	named := e.Reason
	if named == "" {
		named = e.Code.String()
	}
	return fmt.Sprintf("tesseract: %s (%s)", e.Message, named)
}

// Unwrap is why a call failed on this side: context.Canceled, context.DeadlineExceeded, ErrClosed, or nil.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus is the status with all of its details, as package status of gRPC wants it.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// passes says whether it is likely to pass by itself: the server cannot be reached, or says when to come back.
func (e *Error) passes() bool {
	return e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted && e.RetryAfter != nil
}

// errorOf makes an *Error of what a call returned. Details that this client does not know are left out.
func errorOf(err error) error {
	var known *Error
	if err == nil || err == io.EOF || errors.As(err, &known) {
		return err
	}
	found := status.Convert(err)
	made := &Error{Code: found.Code(), Message: found.Message(), status: found}
	switch made.Code {
	case codes.Canceled:
		made.cause = context.Canceled
	case codes.DeadlineExceeded:
		made.cause = context.DeadlineExceeded
	}
	for _, detail := range found.Details() {
		made.add(detail)
	}
	if made.Field == "" {
		made.Field = made.Metadata["field"]
	}
	return made
}

func (e *Error) add(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		e.Reason, e.Metadata, e.Hint = detail.GetReason(), detail.GetMetadata(), detail.GetMetadata()["hint"]
		e.Line, _ = strconv.Atoi(detail.GetMetadata()["line"])
	case *errdetails.BadRequest:
		for _, violation := range detail.GetFieldViolations() {
			e.Fields = append(e.Fields, FieldViolation{violation.GetField(), violation.GetDescription()})
		}
		if len(e.Fields) > 0 {
			e.Field = e.Fields[0].Field
		}
	case *errdetails.RetryInfo:
		delay := detail.GetRetryDelay().AsDuration()
		e.RetryAfter = &delay
	case *errdetails.ResourceInfo:
		e.Resource = Resource{detail.GetResourceType(), detail.GetResourceName()}
	case *tesseractv1.RowErrors:
		e.RowErrorCount = detail.GetTotal()
		for _, row := range detail.GetErrors() {
			e.RowErrors = append(e.RowErrors, RowError{
				row.GetOperation(), row.GetRow(), row.GetColumn(), row.GetReason(), row.GetMessage(),
			})
		}
	}
}

// invalid is what this client refuses by itself, under the reason that the server would give.
func invalid(reason, field, message string) *Error {
	return &Error{Code: codes.InvalidArgument, Reason: reason, Field: field, Message: message}
}

func closedError(what string) *Error {
	return &Error{Code: codes.Canceled, Message: what + " was closed", cause: ErrClosed}
}
