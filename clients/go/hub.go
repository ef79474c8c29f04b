package tesseract

import (
	"context"
	"io"
	"strings"

	"google.golang.org/grpc"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// name is the resource name of the hub.
func (h *Hub) name() string { return "hubs/" + h.options.Hub }

// resource is the resource name of something of the hub; what is one already stays as it is.
func (h *Hub) resource(kind, id string) string {
	if strings.Contains(id, "/") {
		return id
	}
	return h.name() + "/" + kind + "/" + id
}

func idOf(resource string) string { return resource[strings.LastIndex(resource, "/")+1:] }

// CreateTable creates a table. At least one column is part of the primary key.
func (h *Hub) CreateTable(ctx context.Context, id string, columns []*Column) (*Table, error) {
	response, err := h.tables.CreateTable(ctx, &tesseractv1.CreateTableRequest{
		Parent: h.name(), TableId: id, Table: &tesseractv1.Table{Columns: columns}, RequestId: newRequestID(),
	})
	if err != nil {
		return nil, err
	}
	return newTable(h, response.GetTable()), nil
}

// Table finds a table.
func (h *Hub) Table(ctx context.Context, id string) (*Table, error) {
	response, err := h.tables.GetTable(ctx, &tesseractv1.GetTableRequest{Name: h.resource("tables", id)})
	if err != nil {
		return nil, err
	}
	return newTable(h, response.GetTable()), nil
}

// DeleteTable deletes a table with its rows and ends its sessions. One that is not there is no error.
func (h *Hub) DeleteTable(ctx context.Context, id string) error {
	name := h.resource("tables", id)
	request := &tesseractv1.DeleteTableRequest{Name: name, AllowMissing: true, RequestId: newRequestID()}
	_, err := h.tables.DeleteTable(ctx, request)
	return err
}

// ReadOptions say which part of a result is read, and how new it must be.
type ReadOptions struct {
	// Window is the part. Default: all rows.
	Window *Window
	// MinVersion is the version that the read waits for: that of a write, to read what was written.
	MinVersion uint64
}

// Result is the rows of a read.
type Result struct {
	Schema *Schema
	Rows   []Row
	// TotalCount is the number of rows of the whole result, of which these may be a part.
	TotalCount uint64
	// Version is the version at which these rows are the result.
	Version uint64
}

// Query runs a query once. All rows are of one version.
func (h *Hub) Query(ctx context.Context, query *Query, options ReadOptions) (*Result, error) {
	return read(ctx, h, h.tables.QueryStream, &tesseractv1.QueryStreamRequest{
		Parent: h.name(), Query: query, Window: options.Window, MinVersion: options.MinVersion,
	})
}

// page is what a piece of a result has, of a query and of a session.
type page interface {
	GetColumns() []*tesseractv1.Column
	GetRows() *tesseractv1.RowBatch
	GetTotalCount() uint64
	GetVersion() uint64
}

// read collects the pieces of a result, from the beginning where the stream broke.
func read[Q, P any](
	ctx context.Context, hub *Hub, method func(context.Context, *Q, ...grpc.CallOption) (grpc.ServerStreamingClient[P], error),
	request *Q,
) (*Result, error) {
	var found *Result
	return found, hub.again(ctx, true, func() error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := method(ctx, request)
		if err != nil {
			return err
		}
		for found = (&Result{}); ; {
			next, err := stream.Recv()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := found.add(any(next).(page)); err != nil {
				return err
			}
		}
	})
}

func (r *Result) add(piece page) error {
	if r.Schema == nil {
		r.Schema = newSchema(piece.GetColumns())
	}
	rows, err := decode(piece.GetRows(), r.Schema)
	if err != nil {
		return unreadable(err)
	}
	r.Rows, r.TotalCount, r.Version = append(r.Rows, rows...), piece.GetTotalCount(), piece.GetVersion()
	return nil
}
