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
	width := len(own.Columns)
	rows, values := make([]Row, count), make([]any, count*width)
	for at, column := range own.Columns {
		if err := decodeColumn(present[column.GetName()], column.GetType(), values, at, width, count); err != nil {
			return nil, fmt.Errorf("column %q: %w", column.GetName(), err)
		}
	}
	for at := range rows {
		rows[at] = Row{own, values[at*width : (at+1)*width : (at+1)*width]}
	}
	return rows, nil
}

// decodeColumn writes one column into values, in which each row takes width places.
func decodeColumn(data *tesseractv1.ColumnData, kind Type, values []any, at, width, count int) error {
	validity := data.GetValidity()
	if len(validity) != 0 && len(validity) != (count+7)/8 {
		return fmt.Errorf("a bitmap of %d bytes for %d rows", len(validity), count)
	}
	fill := func(fits bool, length int, value func(row int) (any, error)) error {
		if !fits {
			return fmt.Errorf("%T in a column of type %s", data.GetValues(), kind)
		}
		if length != count {
			return fmt.Errorf("%d values in a batch of %d rows", length, count)
		}
		for row := range count {
			if len(validity) == 0 || validity[row/8]>>(row%8)&1 == 1 {
				found, err := value(row)
				if err != nil {
					return err
				}
				values[row*width+at] = found
			}
		}
		return nil
	}
	other := kind < Bool || kind > Enum // a type of a later version: read as what it holds
	text := kind == String || kind == JSON || kind == Enum || other
	boxed := func(text string) any {
		if kind == JSON {
			return json.RawMessage(text)
		}
		return text
	}
	switch data := data.GetValues().(type) {
	case nil: // every row is null
		return nil
	case *tesseractv1.ColumnData_Bools:
		cells := data.Bools.GetValues()
		return fill(kind == Bool || other, len(cells), func(row int) (any, error) { return cells[row], nil })
	case *tesseractv1.ColumnData_Int64S:
		cells := data.Int64S.GetValues()
		return fill(kind == Int64 || other, len(cells), func(row int) (any, error) { return cells[row], nil })
	case *tesseractv1.ColumnData_Float64S:
		cells := data.Float64S.GetValues()
		return fill(kind == Float64 || other, len(cells), func(row int) (any, error) { return cells[row], nil })
	case *tesseractv1.ColumnData_Timestamps:
		cells := data.Timestamps.GetValues()
		return fill(kind == Timestamp || other, len(cells), func(row int) (any, error) {
			return time.UnixMicro(cells[row]).UTC(), nil
		})
	case *tesseractv1.ColumnData_Strings:
		cells := data.Strings.GetValues()
		return fill(text, len(cells), func(row int) (any, error) { return boxed(cells[row]), nil })
	case *tesseractv1.ColumnData_Dictionary:
		codes, texts := data.Dictionary.GetCodes(), make([]any, len(data.Dictionary.GetDictionary()))
		for code, text := range data.Dictionary.GetDictionary() {
			texts[code] = boxed(text)
		}
		return fill(text, len(codes), func(row int) (any, error) {
			if int(codes[row]) >= len(texts) {
				return nil, fmt.Errorf("code %d in a dictionary of %d texts", codes[row], len(texts))
			}
			return texts[codes[row]], nil
		})
	default:
		return fmt.Errorf("values of an unknown kind %T", data)
	}
}

// dictionaryFrom is the number of rows from which on texts travel as a dictionary; below, one by one.
const dictionaryFrom = 32

// encode makes a batch of rows that all have the columns of names. What does not fit is told row by row.
func encode(schema *Schema, names []string, rows []Record) (*tesseractv1.RowBatch, []RowError) {
	batch, refused := &tesseractv1.RowBatch{RowCount: uint32(len(rows))}, []RowError(nil)
	for _, name := range names {
		at := schema.Index(name)
		if at < 0 {
			refused = append(refused, RowError{Column: name, Reason: "UNKNOWN_COLUMN", Message: fmt.Sprintf("there is no column %q", name)})
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
