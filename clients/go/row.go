package tesseract

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// Row is one row of a result. It never changes: a mirror replaces the rows that change.
type Row struct {
	schema *Schema
	values []any
}

// Schema is the columns of the row. In a [Change] a row may have some columns only.
func (r Row) Schema() *Schema { return r.schema }

// Value is the value in a column, as the constants of [Type] say; nil when it is null or there is no such column.
func (r Row) Value(column string) any {
	if at := r.schema.Index(column); at >= 0 {
		return r.values[at]
	}
	return nil
}

// Map is the row as a map, nulls as nil.
func (r Row) Map() map[string]any {
	found := make(map[string]any, len(r.values))
	for at, column := range r.schema.Columns {
		found[column.GetName()] = r.values[at]
	}
	return found
}

// Bool is the value in a BOOL column; false as second when it is null.
func (r Row) Bool(column string) (bool, bool) { return get[bool](r, column) }

// Int64 is the value in an INT64 column; false as second when it is null.
func (r Row) Int64(column string) (int64, bool) { return get[int64](r, column) }

// Float64 is the value in a FLOAT64 column; false as second when it is null.
func (r Row) Float64(column string) (float64, bool) { return get[float64](r, column) }

// Time is the value in a TIMESTAMP column, in UTC; false as second when it is null.
func (r Row) Time(column string) (time.Time, bool) { return get[time.Time](r, column) }

// Text is the value in a STRING or ENUM column; false as second when it is null.
func (r Row) Text(column string) (string, bool) { return get[string](r, column) }

// JSON is the text of the document in a JSON column; false as second when the column is null, which is not the same as a
// document that is null.
func (r Row) JSON(column string) (json.RawMessage, bool) { return get[json.RawMessage](r, column) }

func get[T any](row Row, column string) (T, bool) {
	value, ok := row.Value(column).(T)
	return value, ok
}

const tag = "tesseract"

// Scan writes the row into the struct that into points to: each column into the exported field with the tag
// `tesseract:"column"`. Columns without such a field are left out, and so are fields without a column. A null needs a field
// that is a pointer, a slice or an interface: it is never written as a zero.
func (r Row) Scan(into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("tesseract: Scan wants a pointer to a struct, not a %T", into)
	}
	target = target.Elem()
	for at := range target.NumField() {
		name := target.Type().Field(at).Tag.Get(tag)
		column := r.schema.Index(name)
		if name == "" || column < 0 || !target.Field(at).CanSet() {
			continue
		}
		if err := assign(target.Field(at), r.values[column]); err != nil {
			return fmt.Errorf("tesseract: column %q: %w", name, err)
		}
	}
	return nil
}

// ScanAll is Scan for every row.
func ScanAll[T any](rows []Row) ([]T, error) {
	found := make([]T, len(rows))
	for at, row := range rows {
		if err := row.Scan(&found[at]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func assign(field reflect.Value, value any) error {
	if value == nil {
		switch field.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Interface:
			field.SetZero()
			return nil
		}
		return fmt.Errorf("a null does not fit %s; use *%s", field.Type(), field.Type())
	}
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		return assign(field.Elem(), value)
	}
	from := reflect.ValueOf(value)
	number, whole := value.(int64)
	switch {
	case from.Type().AssignableTo(field.Type()):
		field.Set(from)
	case whole && field.CanInt() && !field.OverflowInt(number):
		field.SetInt(number)
	case whole && field.CanUint() && number >= 0 && !field.OverflowUint(uint64(number)):
		field.SetUint(uint64(number))
	case from.Kind() == field.Kind() && from.CanConvert(field.Type()): // a type of one's own, as in `type Grade string`
		field.Set(from.Convert(field.Type()))
	default:
		return fmt.Errorf("%v does not fit %s", value, field.Type())
	}
	return nil
}

// Record is a row to be written, by the names of its columns. A column that is not mentioned is not touched, or takes its
// default in a new row; nil is null. A value is what the constants of [Type] say, or any integer for INT64 and FLOAT64; in a
// JSON column everything but a json.RawMessage is marshalled. A time.Time is cut to microseconds.
type Record = map[string]any

// native brings a value into the form that rows have; false when the type cannot hold it without loss.
func native(value any, kind Type) (any, bool) {
	if value == nil {
		return nil, true
	}
	given := reflect.ValueOf(value)
	switch kind {
	case Bool:
		_, ok := value.(bool)
		return value, ok
	case Int64:
		switch {
		case given.Type() == reflect.TypeFor[int64]():
			return value, true
		case given.CanInt():
			return given.Int(), true
		case given.CanUint() && given.Uint() <= math.MaxInt64:
			return int64(given.Uint()), true
		}
	case Float64:
		switch {
		case given.Type() == reflect.TypeFor[float64]():
			return value, true
		case given.CanFloat():
			return given.Float(), true
		case given.CanInt():
			real := float64(given.Int())
			return real, int64(real) == given.Int()
		}
	case Timestamp:
		moment, ok := value.(time.Time)
		return value, ok && moment.Year() > -290_000 && moment.Year() < 290_000 // what 64 bits of microseconds hold
	case JSON:
		if text, ok := value.(json.RawMessage); ok && text == nil {
			return nil, true
		} else if ok {
			return text, true
		}
		text, err := json.Marshal(value)
		return json.RawMessage(text), err == nil
	default:
		if text, ok := value.(string); ok {
			return value, utf8.ValidString(text)
		}
		if given.Kind() == reflect.String {
			return given.String(), utf8.ValidString(given.String())
		}
	}
	return nil, false
}
