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

// A Kind of operation.
type Kind string

// The kinds of operations.
const (
	Insert    Kind = "insert"    // adds rows; a key that exists refuses the commit
	Upsert    Kind = "upsert"    // adds the rows whose key is new and replaces the given columns of the others
	Update    Kind = "update"    // replaces the given columns of rows that exist
	Increment Kind = "increment" // adds to the numbers of rows that exist
	Delete    Kind = "delete"    // deletes the rows with these keys, or those for which a filter is true
)

// Operation is a part of a commit.
type Operation struct {
	Table *Table
	Kind  Kind
	// Rows are the rows; of a Delete their key columns. Rows with different columns are written in turn.
	Rows []Record
	// Filter of a Delete takes the place of Rows.
	Filter *Filter
	// IgnoreMissing of an Update or Increment skips keys that do not exist instead of refusing the commit.
	IgnoreMissing bool
	// MustExist of a Delete refuses the commit where a key does not exist.
	MustExist bool
	// Condition is what the rows must be before.
	Condition *tesseractv1.WriteCondition
}

// Insert adds new rows, all or none, and returns the version of the commit.
func (t *Table) Insert(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Operation{Table: t, Kind: Insert, Rows: rows})
}

// Upsert adds the rows whose key is new and replaces the given columns of the others, and returns the version.
func (t *Table) Upsert(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Operation{Table: t, Kind: Upsert, Rows: rows})
}

// Update replaces the given columns of rows that exist, all or none, and returns the version of the commit.
func (t *Table) Update(ctx context.Context, rows []Record) (uint64, error) {
	return t.commit(ctx, Operation{Table: t, Kind: Update, Rows: rows})
}

// Delete deletes the rows with these keys, and returns the version. Keys that do not exist are skipped.
func (t *Table) Delete(ctx context.Context, keys []Record) (uint64, error) {
	return t.commit(ctx, Operation{Table: t, Kind: Delete, Rows: keys})
}

// DeleteWhere deletes the rows for which a filter is true, and returns the version.
func (t *Table) DeleteWhere(ctx context.Context, filter *Filter) (uint64, error) {
	return t.commit(ctx, Operation{Table: t, Kind: Delete, Filter: filter})
}

func (t *Table) commit(ctx context.Context, operation Operation) (uint64, error) {
	committed, err := t.hub.Commit(ctx, operation)
	if err != nil {
		return 0, err
	}
	return committed.Version, nil
}

// Committed says what a commit did.
type Committed struct {
	// Version is the version of the commit; of one that changed nothing, the present one.
	Version uint64
	// Results say what each operation did.
	Results []*tesseractv1.OperationResult
	// Durability is how durable the commit is.
	Durability tesseractv1.Durability
}

// Commit makes one atomic commit of all operations, in order; each sees the effect of those before it. It has a request id:
// after any doubt it is sent again, and written once.
func (h *Hub) Commit(ctx context.Context, operations ...Operation) (*Committed, error) {
	request := &tesseractv1.WriteRequest{Parent: h.name(), RequestId: newRequestID()}
	var parts []part
	for at, operation := range operations {
		if err := operation.check(); err != nil {
			return nil, err
		}
		made, refused := operation.wire()
		if len(refused) > 0 {
			return nil, refusal(at, refused)
		}
		for _, one := range made {
			request.Operations = append(request.Operations, one.wire)
			parts = append(parts, part{at, one.row, nil})
		}
	}
	response, err := h.tables.Write(ctx, request)
	if err != nil {
		return nil, placedIn(err, parts)
	}
	committed := &Committed{Version: response.GetVersion(), Durability: response.GetDurability()}
	for range operations {
		committed.Results = append(committed.Results, &tesseractv1.OperationResult{})
	}
	for at, result := range response.GetResults() {
		total := committed.Results[parts[at].operation]
		total.Inserted += result.GetInserted()
		total.Updated += result.GetUpdated()
		total.Deleted += result.GetDeleted()
		total.Skipped += result.GetSkipped()
	}
	return committed, nil
}

// refusal is what this client refuses by itself, as the server would.
func refusal(operation int, rows []RowError) error {
	for at := range rows {
		rows[at].Operation = uint32(operation)
	}
	found := invalid(rows[0].Reason, rows[0].Column, rows[0].Message)
	found.RowErrors, found.RowErrorCount = rows, uint64(len(rows))
	if found.Reason == "INT64_OVERFLOW" {
		found.Code = codes.OutOfRange
	}
	return found
}

// part is an operation of the wire: of which operation it is, from which row on.
type part struct {
	operation, row int
	wire           *tesseractv1.WriteOperation
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

// check refuses what has no meaning, so that nothing is silently left out.
func (o Operation) check() error {
	switch {
	case o.Table == nil:
		return invalid("MALFORMED_REQUEST", "table", "an operation needs a table")
	case o.Kind != Insert && o.Kind != Upsert && o.Kind != Update && o.Kind != Increment && o.Kind != Delete:
		return invalid("MALFORMED_REQUEST", "kind", fmt.Sprintf("there is no operation %q", o.Kind))
	case o.Filter != nil && (o.Kind != Delete || len(o.Rows) > 0):
		return invalid("MALFORMED_REQUEST", "filter", "a filter is for a delete without rows")
	case o.IgnoreMissing && o.Kind != Update && o.Kind != Increment:
		return invalid("MALFORMED_REQUEST", "ignore_missing", "missing keys are ignored by update and increment")
	case o.MustExist && o.Kind != Delete:
		return invalid("MALFORMED_REQUEST", "must_exist", "keys must exist for a delete")
	}
	return nil
}

// wire makes operations of the wire, one for each run of rows with the same columns.
func (o Operation) wire() ([]part, []RowError) {
	if o.Filter != nil {
		return []part{{wire: o.of(nil)}}, nil
	}
	var found []part
	for from := 0; from < len(o.Rows); {
		names, to := slices.Sorted(maps.Keys(o.Rows[from])), from+1
		for to < len(o.Rows) && sameColumns(o.Rows[from], o.Rows[to]) {
			to++
		}
		batch, refused := encode(o.Table.schema, names, o.Rows[from:to])
		if len(refused) > 0 {
			for at := range refused {
				refused[at].Row += uint32(from)
			}
			return nil, refused
		}
		found, from = append(found, part{row: from, wire: o.of(batch)}), to
	}
	if len(found) == 0 {
		found = []part{{wire: o.of(&tesseractv1.RowBatch{})}}
	}
	return found, nil
}

func sameColumns(one, other Record) bool {
	if len(one) != len(other) {
		return false
	}
	for name := range one {
		if _, found := other[name]; !found {
			return false
		}
	}
	return true
}

func (o Operation) of(batch *tesseractv1.RowBatch) *tesseractv1.WriteOperation {
	wire := &tesseractv1.WriteOperation{Table: o.Table.name, Condition: o.Condition}
	switch o.Kind {
	case Insert:
		wire.Operation = &tesseractv1.WriteOperation_Insert{Insert: &tesseractv1.Insert{Rows: batch}}
	case Upsert:
		wire.Operation = &tesseractv1.WriteOperation_Upsert{Upsert: &tesseractv1.Upsert{Rows: batch}}
	case Update:
		update := &tesseractv1.Update{Rows: batch, IgnoreMissing: o.IgnoreMissing}
		wire.Operation = &tesseractv1.WriteOperation_Update{Update: update}
	case Increment:
		increment := &tesseractv1.Increment{Rows: batch, IgnoreMissing: o.IgnoreMissing}
		wire.Operation = &tesseractv1.WriteOperation_Increment{Increment: increment}
	case Delete:
		remove := &tesseractv1.Delete{Keys: batch, Filter: o.Filter, MustExist: o.MustExist}
		wire.Operation = &tesseractv1.WriteOperation_Delete{Delete: remove}
	}
	return wire
}

// Get reads the rows with these keys, in this order; keys that do not exist are left out.
func (t *Table) Get(ctx context.Context, keys []Record, options ReadOptions) (*Result, error) {
	batch, refused := encode(t.schema, t.schema.Key, keys)
	if len(refused) > 0 {
		return nil, refusal(0, refused)
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
