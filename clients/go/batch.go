package tesseract

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Rows travel as columns: a RowBatch is one array a column and a bitmap of what is null. This file is the way from one to
// the other.

// decode reads the rows of a batch. The columns come in the order of the schema; where some are missing the rows have a
// schema of their own.
func decode(batch *tesseractv1.RowBatch, schema *Schema) ([]Row, error) {
	count, present := int(batch.GetRowCount()), make(map[string]*tesseractv1.ColumnData, len(batch.GetColumns()))
	for _, column := range batch.GetColumns() {
		if schema.Index(column.GetName()) < 0 {
			return nil, fmt.Errorf("there is no column %q", column.GetName())
		}
		present[column.GetName()] = column
	}
	own := schema
	if len(present) != len(schema.Columns) {
		columns := make([]*Column, 0, len(present))
		for _, column := range schema.Columns {
			if present[column.GetName()] != nil {
				columns = append(columns, column)
			}
		}
		own = newSchema(columns)
	}
	cells, filled := make([]cells, len(own.Columns)), false
	for at, column := range own.Columns {
		found, err := cellsOf(present[column.GetName()], column.GetType())
		if err == nil && found.value != nil && found.length != count {
			err = fmt.Errorf("%d values in a batch of %d rows", found.length, count)
		}
		if size := len(found.validity); err == nil && size != 0 && size != (count+7)/8 {
			err = fmt.Errorf("a bitmap of %d bytes for %d rows", size, count)
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", column.GetName(), err)
		}
		cells[at], filled = found, filled || found.value != nil
	}
	if !filled && count > mostEmptyRows {
		return nil, fmt.Errorf("%d rows without a value", count)
	}
	width := len(own.Columns)
	rows, values := make([]Row, count), make([]any, count*width)
	for row := range rows {
		rows[row] = Row{own, values[row*width : (row+1)*width : (row+1)*width]}
	}
	for at, column := range cells {
		for row := range rows {
			if column.value == nil || len(column.validity) > 0 && column.validity[row/8]>>(row%8)&1 == 0 {
				continue
			}
			if rows[row].values[at] = column.value(row); rows[row].values[at] == nil {
				return nil, fmt.Errorf("column %q: row %d has a code outside of the dictionary", own.Columns[at].GetName(), row)
			}
		}
	}
	return rows, nil
}

// mostEmptyRows bounds what a few bytes can make of this process's memory: rows have keys, so they have values.
const mostEmptyRows = 1 << 16

// cells are the values of a column, if any row has one, as rows have them.
type cells struct {
	length   int
	value    func(row int) any
	validity []byte
}

func cellsOf(data *tesseractv1.ColumnData, kind Type) (cells, error) {
	found, holds := cells{validity: data.GetValidity()}, kind
	switch held := data.GetValues().(type) {
	case nil: // every row is null
		return cells{}, nil
	case *tesseractv1.ColumnData_Bools:
		holds, found.length = Bool, len(held.Bools.GetValues())
		found.value = func(row int) any { return held.Bools.Values[row] }
	case *tesseractv1.ColumnData_Int64S:
		holds, found.length = Int64, len(held.Int64S.GetValues())
		found.value = func(row int) any { return held.Int64S.Values[row] }
	case *tesseractv1.ColumnData_Float64S:
		holds, found.length = Float64, len(held.Float64S.GetValues())
		found.value = func(row int) any { return held.Float64S.Values[row] }
	case *tesseractv1.ColumnData_Timestamps:
		holds, found.length = Timestamp, len(held.Timestamps.GetValues())
		found.value = func(row int) any { return time.UnixMicro(held.Timestamps.Values[row]).UTC() }
	case *tesseractv1.ColumnData_Strings:
		holds, found.length = textual(kind), len(held.Strings.GetValues())
		found.value = func(row int) any { return boxed(held.Strings.Values[row], kind) }
	case *tesseractv1.ColumnData_Dictionary:
		texts := make([]any, len(held.Dictionary.GetDictionary()))
		for code, text := range held.Dictionary.GetDictionary() {
			texts[code] = boxed(text, kind)
		}
		holds, found.length = textual(kind), len(held.Dictionary.GetCodes())
		found.value = func(row int) any {
			if code := held.Dictionary.Codes[row]; int(code) < len(texts) {
				return texts[code]
			}
			return nil
		}
	}
	if later := kind < Bool || kind > Enum; holds != kind && !later { // a type of a later version is read as what it holds
		return cells{}, fmt.Errorf("%T in a column of type %s", data.GetValues(), kind)
	}
	return found, nil
}

// textual is the type of a column that holds texts: its own, where that is one.
func textual(kind Type) Type {
	if kind == JSON || kind == Enum {
		return kind
	}
	return String
}

func boxed(text string, kind Type) any {
	if kind == JSON {
		return json.RawMessage(text)
	}
	return text
}

// dictionaryFrom is the number of rows from which on texts travel as a dictionary; below, one by one.
const dictionaryFrom = 32

// encode makes a batch of rows that all have the columns of names. What does not fit is told row by row.
func encode(schema *Schema, names []string, rows []Record) (*tesseractv1.RowBatch, []RowError) {
	batch, refused := &tesseractv1.RowBatch{RowCount: uint32(len(rows))}, []RowError(nil)
	for _, name := range names {
		at := schema.Index(name)
		if at < 0 {
			message := fmt.Sprintf("there is no column %q", name)
			refused = append(refused, RowError{Column: name, Reason: "UNKNOWN_COLUMN", Message: message})
			continue
		}
		kind := schema.Columns[at].GetType()
		cells := make([]any, len(rows))
		for row, record := range rows {
			value, fits := native(record[name], kind)
			if !fits {
				message := fmt.Sprintf("%.60v does not fit column %q of type %s", record[name], name, kind)
				refused = append(refused, RowError{Row: uint32(row), Column: name, Reason: "WRONG_TYPE", Message: message})
			}
			cells[row] = value
		}
		if len(refused) == 0 {
			batch.Columns = append(batch.Columns, encodeColumn(name, kind, cells))
		}
	}
	return batch, refused
}

// encodeColumn makes a column of values that are as rows have them.
func encodeColumn(name string, kind Type, cells []any) *tesseractv1.ColumnData {
	data := &tesseractv1.ColumnData{Name: name}
	if slices.ContainsFunc(cells, func(cell any) bool { return cell == nil }) {
		data.Validity = make([]byte, (len(cells)+7)/8)
		for row, cell := range cells {
			if cell != nil {
				data.Validity[row/8] |= 1 << (row % 8)
			}
		}
	}
	switch kind {
	case Bool:
		data.Values = &tesseractv1.ColumnData_Bools{Bools: &tesseractv1.BoolValues{Values: plain[bool](cells)}}
	case Int64:
		data.Values = &tesseractv1.ColumnData_Int64S{Int64S: &tesseractv1.Int64Values{Values: plain[int64](cells)}}
	case Float64:
		data.Values = &tesseractv1.ColumnData_Float64S{Float64S: &tesseractv1.Float64Values{Values: plain[float64](cells)}}
	case Timestamp:
		micros := make([]int64, len(cells))
		for row, cell := range cells {
			if moment, ok := cell.(time.Time); ok {
				micros[row] = moment.UnixMicro()
			}
		}
		data.Values = &tesseractv1.ColumnData_Timestamps{Timestamps: &tesseractv1.TimestampValues{Values: micros}}
	default:
		encodeTexts(data, cells)
	}
	return data
}

func encodeTexts(data *tesseractv1.ColumnData, cells []any) {
	texts := make([]string, len(cells))
	for row, cell := range cells {
		switch cell := cell.(type) {
		case string:
			texts[row] = cell
		case json.RawMessage:
			texts[row] = string(cell)
		}
	}
	if len(cells) < dictionaryFrom {
		data.Values = &tesseractv1.ColumnData_Strings{Strings: &tesseractv1.StringValues{Values: texts}}
		return
	}
	codes, known, dictionary := make([]uint32, len(texts)), make(map[string]uint32), []string(nil)
	for row, text := range texts {
		code, found := known[text]
		if !found {
			code = uint32(len(dictionary))
			known[text], dictionary = code, append(dictionary, text)
		}
		codes[row] = code
	}
	data.Values = &tesseractv1.ColumnData_Dictionary{
		Dictionary: &tesseractv1.DictionaryValues{Dictionary: dictionary, Codes: codes},
	}
}

// plain is the values of a column, zero where they are null.
func plain[T any](cells []any) []T {
	found := make([]T, len(cells))
	for row, cell := range cells {
		found[row], _ = cell.(T)
	}
	return found
}
