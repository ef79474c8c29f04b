package tesseract

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Table is a handle of a table.
type Table struct {
	hub    *Hub
	name   string
	schema *Schema
}

func newTable(hub *Hub, table *tesseractv1.Table) *Table {
	return &Table{hub, table.GetName(), newSchema(table.GetColumns())}
}

// ID is the id of the table.
func (t *Table) ID() string { return idOf(t.name) }

// Schema is its columns, as they were when this handle was made.
func (t *Table) Schema() *Schema { return t.schema }

// Insert adds new rows, all or none, and returns the version of the commit.
func (t *Table) Insert(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Insert(t, rows))
}

// Upsert adds the rows whose key is new and replaces the given columns of the others, and returns the version.
func (t *Table) Upsert(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Upsert(t, rows))
}

// Update replaces the given columns of rows that exist, all or none, and returns the version of the commit.
func (t *Table) Update(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Update(t, rows))
}

// Delete deletes the rows with these keys, and returns the version. Keys that do not exist are skipped.
func (t *Table) Delete(ctx context.Context, keys []Record) (uint64, error) {
	return t.commit(ctx, Delete(t, keys))
}

func (t *Table) commit(ctx context.Context, operation Operation) (uint64, error) {
	committed, err := t.hub.Commit(ctx, operation)
	if err != nil {
		return 0, err
	}
	return committed.Version, nil
}

// Operation is a part of a commit: see [Hub.Commit]. Rows with different columns may stand in one; what is rarer than this
// (conditions, missing keys that are ignored) is said with the stub of TableService.
type Operation struct {
	table *Table
	rows  []Record
	write func(*tesseractv1.WriteOperation, *tesseractv1.RowBatch)
}

// Insert adds rows; a key that exists refuses the commit.
func Insert(table *Table, rows []Record) Operation {
	return Operation{table, rows, func(wire *tesseractv1.WriteOperation, batch *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Insert{Insert: &tesseractv1.Insert{Rows: batch}}
	}}
}

// Upsert adds the rows whose key is new and replaces the given columns of the others.
func Upsert(table *Table, rows []Record) Operation {
	return Operation{table, rows, func(wire *tesseractv1.WriteOperation, batch *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Upsert{Upsert: &tesseractv1.Upsert{Rows: batch}}
	}}
}

// Update replaces the given columns of rows; a key that does not exist refuses the commit.
func Update(table *Table, rows []Record) Operation {
	return Operation{table, rows, func(wire *tesseractv1.WriteOperation, batch *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Update{Update: &tesseractv1.Update{Rows: batch}}
	}}
}

// Increment adds to the numbers of rows; a key that does not exist refuses the commit.
func Increment(table *Table, rows []Record) Operation {
	return Operation{table, rows, func(wire *tesseractv1.WriteOperation, batch *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Increment{Increment: &tesseractv1.Increment{Rows: batch}}
	}}
}

// Delete deletes the rows with these keys; those that do not exist are skipped.
func Delete(table *Table, keys []Record) Operation {
	return Operation{table, keys, func(wire *tesseractv1.WriteOperation, batch *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Delete{Delete: &tesseractv1.Delete{Keys: batch}}
	}}
}

// DeleteWhere deletes the rows for which a filter is true.
func DeleteWhere(table *Table, filter *Filter) Operation {
	return Operation{table, nil, func(wire *tesseractv1.WriteOperation, _ *tesseractv1.RowBatch) {
		wire.Operation = &tesseractv1.WriteOperation_Delete{Delete: &tesseractv1.Delete{Filter: filter}}
	}}
}

// Committed says what a commit did.
type Committed struct {
	// Version is the version of the commit; of one that changed nothing, the present one.
	Version uint64
	// Results say what each operation did.
	Results []*tesseractv1.OperationResult
}

// Commit makes one atomic commit of all operations, in order; each sees the effect of those before it. It has a request id:
// after any doubt it is sent again, and written once.
func (h *Hub) Commit(ctx context.Context, operations ...Operation) (*Committed, error) {
	request := &tesseractv1.WriteRequest{Parent: h.name(), RequestId: newRequestID()}
	var parts []part
	committed := &Committed{}
	for at, operation := range operations {
		found, err := operation.parts(at)
		if err != nil {
			return nil, err
		}
		for _, part := range found {
			wire := &tesseractv1.WriteOperation{Table: operation.table.name}
			operation.write(wire, part.batch)
			request.Operations = append(request.Operations, wire)
		}
		parts = append(parts, found...)
		committed.Results = append(committed.Results, &tesseractv1.OperationResult{})
	}
	response, err := h.tables.Write(ctx, request)
	if err != nil {
		return nil, placedIn(err, parts)
	}
	committed.Version = response.GetVersion()
	for at, result := range response.GetResults() {
		total := committed.Results[parts[at].operation]
		total.Inserted += result.GetInserted()
		total.Updated += result.GetUpdated()
		total.Deleted += result.GetDeleted()
		total.Skipped += result.GetSkipped()
	}
	return committed, nil
}

// part is an operation of the wire: a run of rows with the same columns. It knows of which operation it is, and from which
// row on.
type part struct {
	operation, row int
	batch          *tesseractv1.RowBatch
}

func (o Operation) parts(operation int) ([]part, error) {
	var found []part
	for from, to := 0, 0; from < len(o.rows) || found == nil; from = to {
		run := o.rows[from:]
		var names []string
		if len(run) > 0 {
			names = slices.Sorted(maps.Keys(run[0]))
		}
		for to = from; to < len(o.rows) && has(o.rows[to], names); to++ {
		}
		batch, refused := encode(o.table.schema, names, o.rows[from:to])
		if len(refused) > 0 {
			return nil, placedIn(refusal(refused), []part{{operation, from, nil}})
		}
		found = append(found, part{operation, from, batch})
	}
	return found, nil
}

// has says whether a record has these columns and no others.
func has(record Record, names []string) bool {
	return len(record) == len(names) && !slices.ContainsFunc(names, func(name string) bool {
		_, found := record[name]
		return !found
	})
}

// refusal is what this client refuses by itself, as the server would.
func refusal(rows []RowError) *Error {
	found := invalid(rows[0].Reason, rows[0].Column, rows[0].Message)
	found.RowErrors, found.RowErrorCount = rows, uint64(len(rows))
	return found
}

// placedIn makes the row errors of a commit count as its caller does.
func placedIn(err error, parts []part) error {
	if failure, ok := err.(*Error); ok {
		for at := range failure.RowErrors {
			row := &failure.RowErrors[at]
			if int(row.Operation) < len(parts) {
				part := parts[row.Operation]
				row.Operation, row.Row = uint32(part.operation), row.Row+uint32(part.row)
			}
		}
	}
	return err
}

// Get reads the rows with these keys, in this order; keys that do not exist are left out.
func (t *Table) Get(ctx context.Context, keys []Record, options ReadOptions) (*Result, error) {
	if options.Window != nil {
		return nil, invalid("BAD_WINDOW", "window", "rows that are read by key have no window")
	}
	batch, refused := encode(t.schema, t.schema.Key, keys)
	if len(refused) > 0 {
		return nil, refusal(refused)
	}
	response, err := t.hub.tables.GetRows(ctx, &tesseractv1.GetRowsRequest{
		Table: t.name, Keys: batch, MinVersion: options.MinVersion,
	})
	if err != nil {
		return nil, err
	}
	rows, err := decode(response.GetRows(), t.schema)
	if err != nil {
		return nil, unreadable(err)
	}
	count := uint64(len(rows))
	return &Result{Schema: t.schema, Rows: rows, TotalCount: count, Version: response.GetVersion()}, nil
}

func unreadable(err error) error {
	return &Error{Code: codes.Internal, Message: fmt.Sprintf("the server's rows cannot be read: %v", err)}
}
