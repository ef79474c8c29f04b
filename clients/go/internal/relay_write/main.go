// Relay_write writes to a table for some time: inserts, updates and deletes of values that are easily damaged on their way.
//
//	relay_write --address A --table T --seconds S --batch B
//
// A table that is not there is created, with a column of every type; one that is there is written as its columns want it.
// Every commit has a request id and is sent again while the server is away. At the end it prints what was acknowledged.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
)

const mostRows = 5_000

var columns = []*tesseract.Column{
	{Name: "id", Type: tesseract.Int64, PrimaryKey: true},
	{Name: "whole", Type: tesseract.Int64},
	{Name: "real", Type: tesseract.Float64},
	{Name: "moment", Type: tesseract.Timestamp},
	{Name: "text", Type: tesseract.String},
	{Name: "flag", Type: tesseract.Bool},
	{Name: "doc", Type: tesseract.JSON},
	{Name: "grade", Type: tesseract.Enum, EnumValues: []string{"low", "middle", "high"}},
}

func main() {
	address := flag.String("address", "localhost:50051", "of the server; several with commas")
	table := flag.String("table", "relay", "the id of the table")
	seconds := flag.Float64("seconds", 10, "how long")
	batch := flag.Int("batch", 100, "rows a commit")
	flag.Parse()
	if err := run(*address, *table, time.Duration(*seconds*float64(time.Second)), *batch); err != nil {
		log.Fatal(err)
	}
}

type writer struct {
	table *tesseract.Table
	key   string
	kind  tesseract.Type
	held  []int64 // the numbers in the keys of the rows that are there
	next  int64
}

func run(address, id string, long time.Duration, batch int) error {
	ctx := context.Background()
	hub, err := tesseract.Connect(address, tesseract.Options{
		Timeout: 2 * time.Minute, Retry: tesseract.Retry{MaxBackoff: time.Second},
	})
	if err != nil {
		return err
	}
	defer hub.Close()
	table, err := hub.Table(ctx, id)
	if failure := (*tesseract.Error)(nil); errors.As(err, &failure) && failure.Reason == "UNKNOWN_TABLE" {
		table, err = hub.CreateTable(ctx, id, columns)
	}
	if err != nil {
		return err
	}
	w := &writer{table: table, key: table.Schema().Key[0], next: 1 << 53}
	w.kind = table.Schema().Columns[table.Schema().Index(w.key)].GetType()
	if len(table.Schema().Key) != 1 || w.kind != tesseract.Int64 && w.kind != tesseract.String {
		return fmt.Errorf("the key of table %q must be one INT64 or STRING", id)
	}
	commits, rows, version := 0, 0, uint64(0)
	for end := time.Now().Add(long); time.Now().Before(end); commits++ {
		operations := w.operations(batch)
		committed, err := hub.Commit(ctx, operations...)
		if err != nil {
			return err
		}
		version = committed.Version
		for _, result := range committed.Results {
			rows += int(result.GetInserted() + result.GetUpdated() + result.GetDeleted())
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"commits": commits, "rows": rows, "version": version})
}

// operations are those of the next commit: a third each of rows that come, rows that change and rows that leave, where
// there are that many.
func (w *writer) operations(batch int) []tesseract.Operation {
	var insert, update, remove []tesseract.Record
	rand.Shuffle(len(w.held), func(a, b int) { w.held[a], w.held[b] = w.held[b], w.held[a] })
	third := max(batch/3, 1)
	for _, number := range w.held[:min(third, len(w.held))] {
		update = append(update, w.record(number, w.some()))
	}
	if len(w.held) >= 3*third && (len(w.held) > mostRows || rand.IntN(3) > 0) {
		for _, number := range w.held[len(w.held)-third:] {
			remove = append(remove, tesseract.Record{w.key: w.named(number)})
		}
		w.held = w.held[:len(w.held)-third]
	}
	for range batch - len(update) - len(remove) {
		insert = append(insert, w.record(w.next, nil))
		w.held, w.next = append(w.held, w.next), w.next+1
	}
	found := []tesseract.Operation{tesseract.Insert(w.table, insert)}
	if len(update) > 0 {
		found = append(found, tesseract.Update(w.table, update))
	}
	if len(remove) > 0 {
		found = append(found, tesseract.Delete(w.table, remove))
	}
	return found
}

func (w *writer) named(number int64) any {
	if w.kind == tesseract.String {
		return fmt.Sprintf("ключ-𐍈-%d", number)
	}
	return number
}

// some are columns to be updated, by chance; never nil.
func (w *writer) some() []string {
	names := []string{}
	for _, column := range w.table.Schema().Columns {
		if column.GetName() != w.key && column.GetExpression() == "" && rand.IntN(4) == 0 {
			names = append(names, column.GetName())
		}
	}
	return names
}

// record is a row: all of its columns, or those that are named.
func (w *writer) record(number int64, names []string) tesseract.Record {
	record := tesseract.Record{w.key: w.named(number)}
	for _, column := range w.table.Schema().Columns {
		name := column.GetName()
		if name == w.key || column.GetExpression() != "" || names != nil && !slices.Contains(names, name) {
			continue
		}
		record[name] = value(column)
	}
	return record
}

// value is one that is easily damaged on its way.
func value(column *tesseract.Column) any {
	if rand.IntN(6) == 0 && !column.GetRequired() {
		return nil
	}
	pick := func(values ...any) any { return values[rand.IntN(len(values))] }
	switch column.GetType() {
	case tesseract.Bool:
		return rand.IntN(2) == 0
	case tesseract.Int64:
		return pick(int64(math.MaxInt64), int64(math.MinInt64), int64(1)<<53+1, -(int64(1)<<53 + 1), int64(rand.Uint64()), int64(0))
	case tesseract.Float64:
		return pick(math.NaN(), math.Inf(1), math.Inf(-1), 0.0, math.Copysign(0, -1), math.MaxFloat64, 5e-324, rand.NormFloat64())
	case tesseract.Timestamp:
		return pick(time.UnixMicro(-1), time.UnixMicro(1_700_000_000_000_001), time.UnixMicro(253402300799999999),
			time.UnixMicro(rand.Int64N(4e15)-2e15))
	case tesseract.JSON:
		return pick(json.RawMessage(`{"b":1,"a":[1,2.50,null]}`), json.RawMessage("null"), json.RawMessage("12345678901234567890"),
			json.RawMessage(`"😀"`))
	case tesseract.Enum:
		return column.GetEnumValues()[rand.IntN(len(column.GetEnumValues()))]
	}
	return pick("", "🚀 déjà vu", "\U0010FFFF", "a\x00b", strings.Repeat("long ", 40), fmt.Sprint(rand.IntN(1000)))
}
