// Basic: a table, writes, queries, and what is refused. Usage: go run ./samples/basic [localhost:50051]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
)

var columns = []*tesseract.Column{
	{Name: "id", Type: tesseract.Int64, PrimaryKey: true},
	{Name: "name", Type: tesseract.String},
	{Name: "price", Type: tesseract.Float64},
	{Name: "open", Type: tesseract.Bool},
	{Name: "at", Type: tesseract.Timestamp},
	{Name: "doc", Type: tesseract.JSON},
	{Name: "status", Type: tesseract.Enum, EnumValues: []string{"ready", "shipped"}},
}

var rows = []tesseract.Record{
	{
		"id": 1, "name": "Ada", "price": 12.5, "open": true, "at": time.Date(2026, 11, 23, 4, 15, 0, 1_000, time.UTC),
		"doc": map[string]any{"size": 2, "tags": []string{"new", "red"}}, "status": "ready",
	},
	{
		"id": 2, "name": "", "price": math.NaN(), "open": false,
		"at": time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), "status": "shipped",
	},
	{"id": int64(9007199254740993), "name": "🚀 déjà vu", "price": math.Inf(1), "doc": json.RawMessage("{}")},
	{"id": int64(math.MinInt64), "price": math.Inf(-1), "open": true, "doc": []any{1, nil}},
}

func main() {
	log.SetFlags(0)
	address := "localhost:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := run(address); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	hub, err := tesseract.Connect(address, tesseract.Options{})
	if err != nil {
		return err
	}
	defer hub.Close()

	if err := hub.DeleteTable(ctx, "basic_orders"); err != nil {
		return err
	}
	orders, err := hub.CreateTable(ctx, "basic_orders", columns)
	if err != nil {
		return err
	}
	var described []string
	for _, column := range orders.Schema().Columns {
		kind := strings.ToLower(strings.TrimPrefix(column.GetType().String(), "DATA_TYPE_"))
		described = append(described, column.GetName()+" "+kind)
	}
	fmt.Println("columns:", strings.Join(described, ", "))

	version, err := orders.Insert(ctx, rows)
	if err != nil {
		return err
	}
	fmt.Printf("wrote %d rows\n", len(rows))
	byID := []*tesseract.SortKey{tesseract.Asc("id")}
	all := &tesseract.Query{Table: "basic_orders", Sort: byID}
	found, err := hub.Query(ctx, all, tesseract.ReadOptions{MinVersion: version})
	if err != nil {
		return err
	}
	fmt.Println("read my own writes:", found.Version >= version)
	show(found.Rows)

	committed, err := hub.Commit(ctx,
		tesseract.Update(orders, []tesseract.Record{{"id": 1, "price": 13.75}}),
		tesseract.Delete(orders, []tesseract.Record{{"id": 2}}),
	)
	if err != nil {
		return err
	}
	fmt.Println("updated 1 and deleted 2 in one commit")
	expensive := &tesseract.Query{Table: "basic_orders", Filter: tesseract.Where("price > 13"), Sort: byID}
	found, err = hub.Query(ctx, expensive, tesseract.ReadOptions{MinVersion: committed.Version})
	if err != nil {
		return err
	}
	show(found.Rows)

	found, err = orders.Get(ctx, []tesseract.Record{{"id": 1}, {"id": 2}}, tesseract.ReadOptions{})
	if err != nil {
		return err
	}
	fmt.Print("of the keys 1 and 2 there are:")
	for _, row := range found.Rows {
		id, _ := row.Int64("id")
		fmt.Print(" ", id)
	}
	fmt.Println()

	var refused *tesseract.Error
	if _, err = orders.Insert(ctx, []tesseract.Record{{"id": 5}, {"id": 1}}); !errors.As(err, &refused) {
		return fmt.Errorf("not refused: %w", err)
	}
	first := refused.RowErrors[0]
	fmt.Printf("refused: %s %s, row %d, column %s\n", code.Code(refused.Code), refused.Reason, first.Row, first.Column)
	unknown := &tesseract.Query{Table: "basic_orders", Filter: tesseract.Where("prize > 13")}
	if _, err = hub.Query(ctx, unknown, tesseract.ReadOptions{}); !errors.As(err, &refused) {
		return fmt.Errorf("not refused: %w", err)
	}
	fmt.Println("refused:", code.Code(refused.Code), refused.Reason)
	if _, err = hub.Table(ctx, "basic_missing"); !errors.As(err, &refused) {
		return fmt.Errorf("not refused: %w", err)
	}
	fmt.Println("refused:", code.Code(refused.Code), refused.Reason)

	if found, err = hub.Query(ctx, all, tesseract.ReadOptions{}); err != nil {
		return err
	}
	fmt.Println("rows after the refusals:", len(found.Rows))
	return hub.DeleteTable(ctx, "basic_orders")
}

func show(rows []tesseract.Row) {
	for _, row := range rows {
		fmt.Print(" ")
		for _, column := range row.Schema().Columns {
			name := column.GetName()
			fmt.Printf(" %s=%s", name, text(name, row.Value(name)))
		}
		fmt.Println()
	}
}

func text(column string, value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case float64:
		switch {
		case math.IsNaN(value):
			return "NaN"
		case math.IsInf(value, 0):
			return strings.TrimPrefix(strings.ToLower(fmt.Sprint(value)), "+")
		}
		return fmt.Sprintf("%.2f", value)
	case time.Time:
		return value.Format("2006-01-02T15:04:05.000000Z")
	case json.RawMessage:
		return string(value)
	case string:
		if column == "name" {
			return `"` + value + `"`
		}
	}
	return fmt.Sprint(value)
}
