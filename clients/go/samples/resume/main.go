// Resume: leave with a bookmark, come back with it: only what was missed is told. Usage: go run ./samples/resume
// [localhost:50051]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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
	folder, err := os.MkdirTemp("", "bookmark")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "bookmark")
	if err := leave(ctx, address, file); err != nil {
		return err
	}
	if err := meanwhile(ctx, address); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	saved := &tesseract.Bookmark{}
	if err := saved.UnmarshalBinary(content); err != nil {
		return err
	}
	fmt.Println("in the file:", listed(saved.Rows))
	return comeBack(ctx, address, saved)
}

// leave makes the table and the session, mirrors it, and goes away with a bookmark.
func leave(ctx context.Context, address, file string) error {
	hub, err := tesseract.Connect(address, tesseract.Options{})
	if err != nil {
		return err
	}
	defer hub.Close()
	if err := hub.DeleteSession(ctx, "resume_board"); err != nil {
		return err
	}
	if err := hub.DeleteTable(ctx, "resume_prices"); err != nil {
		return err
	}
	prices, err := hub.CreateTable(ctx, "resume_prices", columns)
	if err != nil {
		return err
	}
	if _, err := prices.Insert(ctx, rows); err != nil {
		return err
	}
	board, err := hub.CreateSession(ctx, "resume_board", &tesseract.Query{
		Table: "resume_prices", Sort: []*tesseract.SortKey{tesseract.Desc("price")},
	})
	if err != nil {
		return err
	}
	mirror, err := board.Mirror(ctx, tesseract.MirrorOptions{})
	if err != nil {
		return err
	}
	if err := mirror.Ready(ctx); err != nil {
		return err
	}
	fmt.Println("before:", listed(mirror.Rows()))
	bookmark, err := mirror.Bookmark()
	if err != nil {
		return err
	}
	content, err := bookmark.MarshalBinary()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	if err := hub.Close(); err != nil {
		return err
	}
	fmt.Println("the bookmark is saved, the connection closed")
	return nil
}

// meanwhile is what happens while nobody watches.
func meanwhile(ctx context.Context, address string) error {
	hub, err := tesseract.Connect(address, tesseract.Options{})
	if err != nil {
		return err
	}
	defer hub.Close()
	prices, err := hub.Table(ctx, "resume_prices")
	if err != nil {
		return err
	}
	if _, err := prices.Update(ctx, []tesseract.Record{{"id": 3, "price": 30.5}}); err != nil {
		return err
	}
	if _, err := prices.Delete(ctx, []tesseract.Record{{"id": 2}}); err != nil {
		return err
	}
	if _, err := prices.Insert(ctx, []tesseract.Record{{"id": 5, "symbol": "ECHO", "price": 10.25}}); err != nil {
		return err
	}
	fmt.Println("meanwhile: CORE rises to 30.50, BOLT is deleted, ECHO comes")
	return nil
}

// comeBack goes on from the bookmark.
func comeBack(ctx context.Context, address string, saved *tesseract.Bookmark) error {
	hub, err := tesseract.Connect(address, tesseract.Options{})
	if err != nil {
		return err
	}
	defer hub.Close()
	prices, err := hub.Table(ctx, "resume_prices")
	if err != nil {
		return err
	}
	board, err := hub.Session(ctx, "resume_board")
	if err != nil {
		return err
	}
	changes := make(chan *tesseract.Change, 100)
	mirror, err := board.Mirror(ctx, tesseract.MirrorOptions{
		Resume: saved,
		OnResumed: func(resumed tesseract.Resumed) {
			fmt.Println("resumed at the bookmark:", resumed.Version == saved.Version)
		},
		OnChange: func(change *tesseract.Change) { changes <- change },
	})
	if err != nil {
		return err
	}
	defer mirror.Close()
	next := func() error {
		select {
		case change := <-changes:
			show(change, mirror)
			return nil
		case <-ctx.Done():
			return fmt.Errorf("no change came: %w", ctx.Err())
		}
	}
	if err := next(); err != nil {
		return err
	}
	if _, err := prices.Update(ctx, []tesseract.Record{{"id": 1, "price": 50.0}}); err != nil {
		return err
	}
	if err := next(); err != nil {
		return err
	}
	fresh, err := board.Query(ctx, tesseract.ReadOptions{MinVersion: mirror.Version()})
	if err != nil {
		return err
	}
	same := slices.EqualFunc(fresh.Rows, mirror.Rows(), func(one, other tesseract.Row) bool {
		return reflect.DeepEqual(one.Map(), other.Map())
	})
	fmt.Println("the same as a fresh query:", same)
	mirror.Close()
	if err := hub.DeleteSession(ctx, "resume_board"); err != nil {
		return err
	}
	return hub.DeleteTable(ctx, "resume_prices")
}

// show prints what was told, and the rows that follow from it.
func show(change *tesseract.Change, mirror *tesseract.Mirror) {
	if change.Snapshot {
		fmt.Printf("snapshot of %d rows\n", len(change.Rows))
	} else {
		fmt.Println("change:", strings.Join(named(change), ", "))
	}
	fmt.Println("  =", listed(mirror.Rows()))
}

// named is KIND ID for each row that a change names, sorted.
func named(change *tesseract.Change) []string {
	var found []string
	for _, removed := range change.Removed {
		found = append(found, fmt.Sprintf("remove %v", removed.Key.Value("id")))
	}
	for _, updated := range change.Updated {
		found = append(found, fmt.Sprintf("update %v", updated.Value("id")))
	}
	for _, moved := range change.Moved {
		found = append(found, fmt.Sprintf("move %v", moved.Row.Value("id")))
	}
	for _, inserted := range change.Inserted {
		found = append(found, fmt.Sprintf("insert %v", inserted.Row.Value("id")))
	}
	slices.Sort(found)
	return found
}

func listed(rows []tesseract.Row) string {
	var texts []string
	for _, row := range rows {
		price, _ := row.Float64("price")
		texts = append(texts, fmt.Sprintf("%v %.2f", row.Value("symbol"), price))
	}
	return strings.Join(texts, ", ")
}
