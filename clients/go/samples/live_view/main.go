// Live view: a live window, filtered, sorted, always right. Usage: go run ./samples/live_view [localhost:50051]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
)

var columns = []*tesseract.Column{
	{Name: "id", Type: tesseract.Int64, PrimaryKey: true},
	{Name: "symbol", Type: tesseract.String},
	{Name: "price", Type: tesseract.Float64},
}

var rows = []tesseract.Record{
	{"id": 1, "symbol": "ACME", "price": 12.5},
	{"id": 2, "symbol": "BOLT", "price": 20.25},
	{"id": 3, "symbol": "CORE", "price": 9.75},
	{"id": 4, "symbol": "DYNE", "price": 15.5},
	{"id": 5, "symbol": "ECHO", "price": 11.25},
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
	if err := hub.DeleteSession(ctx, "live_view_top"); err != nil {
		return err
	}
	if err := hub.DeleteTable(ctx, "live_view_prices"); err != nil {
		return err
	}
	prices, err := hub.CreateTable(ctx, "live_view_prices", columns)
	if err != nil {
		return err
	}
	if _, err := prices.Insert(ctx, rows); err != nil {
		return err
	}
	top, err := hub.CreateSession(ctx, "live_view_top", &tesseract.Query{
		Table:  "live_view_prices",
		Filter: tesseract.Where("price >= 10"),
		Sort:   []*tesseract.SortKey{tesseract.Desc("price")},
	})
	if err != nil {
		return err
	}

	changes := make(chan *tesseract.Change, 100)
	mirror, err := top.Mirror(ctx, tesseract.MirrorOptions{
		Window:   tesseract.Page(0, 3),
		OnChange: func(change *tesseract.Change) { changes <- change },
	})
	if err != nil {
		return err
	}
	defer mirror.Close()
	next := func(title string) error {
		select {
		case change := <-changes:
			show(title, change, mirror)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s: no change came: %w", title, ctx.Err())
		}
	}
	if err := next("snapshot"); err != nil {
		return err
	}

	update := func(row tesseract.Record) tesseract.Operation {
		return tesseract.Update(prices, []tesseract.Record{row})
	}
	insert := func(row tesseract.Record) tesseract.Operation {
		return tesseract.Insert(prices, []tesseract.Record{row})
	}
	remove := func(id int) tesseract.Operation {
		return tesseract.Delete(prices, []tesseract.Record{{"id": id}})
	}
	for _, step := range []struct {
		title  string
		commit []tesseract.Operation
	}{
		{"CORE comes, ACME leaves the window", []tesseract.Operation{update(tesseract.Record{"id": 3, "price": 18.0})}},
		{"DYNE moves to the top", []tesseract.Operation{update(tesseract.Record{"id": 4, "price": 25.0})}},
		{"BOLT no longer passes the filter", []tesseract.Operation{update(tesseract.Record{"id": 2, "price": 5.0})}},
		{"CORE is deleted", []tesseract.Operation{remove(3)}},
		{"ACME changes in its place", []tesseract.Operation{update(tesseract.Record{"id": 1, "price": 12.75})}},
		{"three writes in one commit are one change", []tesseract.Operation{
			insert(tesseract.Record{"id": 6, "symbol": "FLUX", "price": 30.5}),
			update(tesseract.Record{"id": 5, "price": 40.0}),
			remove(4),
		}},
	} {
		if _, err := hub.Commit(ctx, step.commit...); err != nil {
			return err
		}
		if err := next(step.title); err != nil {
			return err
		}
	}

	committed, err := hub.Commit(ctx, insert(tesseract.Record{"id": 7, "symbol": "GLUE", "price": 1.0}))
	if err != nil {
		return err
	}
	if err := mirror.WaitFor(ctx, committed.Version); err != nil {
		return err
	}
	fmt.Println("GLUE concerns nobody")
	fmt.Printf("  the mirror is as new as the write, and was told %d changes\n", len(changes))

	mirror.Close()
	if err := hub.DeleteSession(ctx, "live_view_top"); err != nil {
		return err
	}
	return hub.DeleteTable(ctx, "live_view_prices")
}

// show prints a consistent point: what was told, and the rows that follow from it.
func show(title string, change *tesseract.Change, mirror *tesseract.Mirror) {
	fmt.Println(title)
	for _, removed := range change.Removed {
		fmt.Printf("  remove %v: %s\n", removed.Key.Value("id"), removed.Reason)
	}
	for _, updated := range change.Updated {
		if price, told := updated.Float64("price"); told {
			fmt.Printf("  update %v: price %.2f\n", updated.Value("id"), price)
		}
	}
	for _, moved := range change.Moved {
		fmt.Printf("  move %v: to %d\n", moved.Row.Value("id"), moved.Index)
	}
	for _, inserted := range change.Inserted {
		fmt.Printf("  insert %v: at %d, %s\n", inserted.Row.Value("id"), inserted.Index, listed(inserted.Row))
	}
	fmt.Printf("  = %d of %d: %s\n", mirror.Len(), mirror.TotalCount(), listed(mirror.Rows()...))
}

func listed(rows ...tesseract.Row) string {
	var texts []string
	for _, row := range rows {
		price, _ := row.Float64("price")
		texts = append(texts, fmt.Sprintf("%v %.2f", row.Value("symbol"), price))
	}
	return strings.Join(texts, ", ")
}
