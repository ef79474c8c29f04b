package tesseract

import (
	"slices"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// The words of the wire that are used as they are. Their fields are documented with the messages.
type (
	// A Column of a table or of a result.
	Column = tesseractv1.Column
	// A Query says where rows come from, which are kept, and in which order.
	Query = tesseractv1.Query
	// A Filter is a condition on rows. [Where] makes one of an expression.
	Filter = tesseractv1.Filter
	// A SortKey is one column of an order. [Asc] and [Desc] make one.
	SortKey = tesseractv1.SortKey
	// A Window is a part of a result. [Page] makes one.
	Window = tesseractv1.Window
	// A Type is what a column holds.
	Type = tesseractv1.DataType
)

// The types of columns, and what their values are in Go. A null is nil in every column.
const (
	Bool      = tesseractv1.DataType_DATA_TYPE_BOOL      // bool
	Int64     = tesseractv1.DataType_DATA_TYPE_INT64     // int64
	Float64   = tesseractv1.DataType_DATA_TYPE_FLOAT64   // float64; NaN and infinities are values
	Timestamp = tesseractv1.DataType_DATA_TYPE_TIMESTAMP // time.Time in UTC, whole microseconds
	String    = tesseractv1.DataType_DATA_TYPE_STRING    // string
	JSON      = tesseractv1.DataType_DATA_TYPE_JSON      // json.RawMessage, the text as it was written
	Enum      = tesseractv1.DataType_DATA_TYPE_ENUM      // string, one of Column.EnumValues
)

// Where is the condition that an expression is true, for example `age >= 18 && name ~ "ad"`.
func Where(expression string) *Filter {
	return &Filter{Node: &tesseractv1.Filter_Custom{Custom: expression}}
}

// Asc sorts by a column, smallest first and nulls last.
func Asc(column string) *SortKey {
	return &SortKey{Column: column, Direction: tesseractv1.SortDirection_SORT_DIRECTION_ASCENDING}
}

// Desc sorts by a column, largest first and nulls last.
func Desc(column string) *SortKey {
	return &SortKey{Column: column, Direction: tesseractv1.SortDirection_SORT_DIRECTION_DESCENDING}
}

// Page is the window of limit rows from offset on, both counted in rows.
func Page(offset, limit int64) *Window {
	return &Window{Offset: offset, Limit: &limit}
}

// Schema is the columns of some rows, in order. It never changes.
type Schema struct {
	// Columns are all columns, in the order in which rows are shown.
	Columns []*Column
	// Key is the names of the columns that name a row.
	Key   []string
	index map[string]int
}

func newSchema(columns []*Column) *Schema {
	schema := &Schema{Columns: columns, index: make(map[string]int, len(columns))}
	for at, column := range columns {
		schema.index[column.GetName()] = at
		if column.GetPrimaryKey() {
			schema.Key = append(schema.Key, column.GetName())
		}
	}
	return schema
}

// Index is the place of a column, or -1.
func (s *Schema) Index(name string) int {
	if at, found := s.index[name]; found {
		return at
	}
	return -1
}

// has says whether a column of this name and type is there.
func (s *Schema) has(column *Column) bool {
	at := s.Index(column.GetName())
	return at >= 0 && s.Columns[at].GetType() == column.GetType()
}

// same says whether rows of both look alike: names, types, order and key.
func (s *Schema) same(other *Schema) bool {
	return slices.Equal(s.Key, other.Key) && slices.EqualFunc(s.Columns, other.Columns, func(a, b *Column) bool {
		return a.GetName() == b.GetName() && a.GetType() == b.GetType()
	})
}
