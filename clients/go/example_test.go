package tesseract_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// From nothing to a live mirror.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	hub, err := tesseract.Connect("localhost:50051", tesseract.Options{})
	check(err)
	defer hub.Close()
	prices, err := hub.CreateTable(ctx, "prices", []*tesseract.Column{
		{Name: "symbol", Type: tesseract.String, PrimaryKey: true},
		{Name: "price", Type: tesseract.Float64},
	})
	check(err)
	version, err := prices.Upsert(ctx, []tesseract.Record{{"symbol": "ACME", "price": 12.5}})
	check(err)

	session, err := hub.CreateSession(ctx, "top", &tesseract.Query{
		Table:  "prices",
		Filter: tesseract.Where("price >= 10"),
		Sort:   []*tesseract.SortKey{tesseract.Desc("price")},
	})
	check(err)
	mirror, err := session.Mirror(ctx, tesseract.MirrorOptions{Window: tesseract.Page(0, 20)})
	check(err)
	defer mirror.Close()
	check(mirror.WaitFor(ctx, version)) // the rows are those of the write, or newer
	for range mirror.Versions(ctx) {    // once for every look that is worth it
		for _, row := range mirror.Rows() {
			symbol, _ := row.Text("symbol")
			price, known := row.Float64("price") // false: null
			fmt.Println(symbol, price, known)
		}
	}
}
