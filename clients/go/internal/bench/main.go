// Bench says how fast this client is, beside its stubs: clients/BENCH.md says what each mode measures.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

var (
	mode    = flag.String("mode", "", "write, raw_write, snapshot, raw_snapshot, fold or raw_fold")
	address = flag.String("address", "", "of the server")
	seconds = flag.Float64("seconds", 3, "how long to measure")
	table   = flag.String("table", "", "the id of the table")
	batch   = flag.Int("batch", 1_000, "rows a call")
	total   = flag.Int("rows", 100_000, "the number of distinct rows")
	session = flag.String("session", "", "the id of the session")
	version = flag.Uint64("version", 0, "the version at which the stream has told everything")
)

type answer = map[string]any

func main() {
	flag.Parse()
	modes := map[string]func(context.Context) (answer, error){
		"write": write, "raw_write": rawWrite,
		"snapshot":     func(ctx context.Context) (answer, error) { return mirrored(ctx, 0) },
		"fold":         func(ctx context.Context) (answer, error) { return mirrored(ctx, *version) },
		"raw_snapshot": func(ctx context.Context) (answer, error) { return drained(ctx, 0) },
		"raw_fold":     func(ctx context.Context) (answer, error) { return drained(ctx, *version) },
	}
	measure := modes[*mode]
	if measure == nil {
		log.Fatalf("there is no mode %q", *mode)
	}
	found, err := measure(context.Background())
	if err == nil {
		found["mode"] = *mode
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		log.Fatal(err)
	}
}

const start = 1_700_000_000_000_000 // microseconds of row 0

func row(i int) tesseract.Record {
	side := "buy"
	if i%2 == 1 {
		side = "sell"
	}
	return tesseract.Record{
		"id": i, "symbol": fmt.Sprintf("S%d", i%1000), "side": side, "price": float64(i*7919%100_000) / 100, "qty": i%1000 + 1,
		"ts": time.UnixMicro(start + int64(i)), "trader": fmt.Sprintf("T%d", i%200), "active": i%3 == 0,
	}
}

func write(ctx context.Context) (answer, error) {
	hub, err := tesseract.Connect(*address, tesseract.Options{})
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	into, err := hub.Table(ctx, *table)
	if err != nil {
		return nil, err
	}
	var batches [][]tesseract.Record
	for from := 0; from < *total; from += *batch {
		var rows []tesseract.Record
		for i := range *batch {
			rows = append(rows, row(from+i))
		}
		batches = append(batches, rows)
	}
	return writeBatches(batches, func(rows []tesseract.Record) (uint64, error) { return into.Upsert(ctx, rows) })
}

func rawWrite(ctx context.Context) (answer, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stub := tesseractv1.NewTableServiceClient(conn)
	var batches []*tesseractv1.WriteRequest
	for from := 0; from < *total; from += *batch {
		batches = append(batches, request(from))
	}
	return writeBatches(batches, func(request *tesseractv1.WriteRequest) (uint64, error) {
		response, err := stub.Write(ctx, request)
		return response.GetVersion(), err
	})
}

// request is the one that upserts rows, made by hand.
func request(from int) *tesseractv1.WriteRequest {
	var ids, prices, times = make([]int64, *batch), make([]float64, *batch), make([]int64, *batch)
	quantities, actives := make([]int64, *batch), make([]bool, *batch)
	texts := map[string]*tesseractv1.DictionaryValues{"symbol": {}, "side": {}, "trader": {}}
	codes := map[string]map[string]uint32{"symbol": {}, "side": {}, "trader": {}}
	for i := range *batch {
		found := row(from + i)
		ids[i], prices[i], times[i] = int64(from+i), found["price"].(float64), start+int64(from+i)
		quantities[i], actives[i] = int64(found["qty"].(int)), found["active"].(bool)
		for name, column := range texts {
			text := found[name].(string)
			code, known := codes[name][text]
			if !known {
				code = uint32(len(column.Dictionary))
				codes[name][text], column.Dictionary = code, append(column.Dictionary, text)
			}
			column.Codes = append(column.Codes, code)
		}
	}
	whole := func(name string, values []int64) *tesseractv1.ColumnData {
		return &tesseractv1.ColumnData{
			Name: name, Values: &tesseractv1.ColumnData_Int64S{Int64S: &tesseractv1.Int64Values{Values: values}},
		}
	}
	rows := &tesseractv1.RowBatch{RowCount: uint32(*batch), Columns: []*tesseractv1.ColumnData{
		whole("id", ids), whole("qty", quantities),
		{Name: "price", Values: &tesseractv1.ColumnData_Float64S{Float64S: &tesseractv1.Float64Values{Values: prices}}},
		{Name: "ts", Values: &tesseractv1.ColumnData_Timestamps{Timestamps: &tesseractv1.TimestampValues{Values: times}}},
		{Name: "active", Values: &tesseractv1.ColumnData_Bools{Bools: &tesseractv1.BoolValues{Values: actives}}},
	}}
	for name, column := range texts {
		values := &tesseractv1.ColumnData_Dictionary{Dictionary: column}
		rows.Columns = append(rows.Columns, &tesseractv1.ColumnData{Name: name, Values: values})
	}
	upsert := &tesseractv1.WriteOperation_Upsert{Upsert: &tesseractv1.Upsert{Rows: rows}}
	return &tesseractv1.WriteRequest{Operations: []*tesseractv1.WriteOperation{{Table: *table, Operation: upsert}}}
}

// writeBatches writes all batches once, and then again and again until the time is over.
func writeBatches[B any](batches []B, send func(B) (uint64, error)) (answer, error) {
	for _, one := range batches {
		if _, err := send(one); err != nil {
			return nil, err
		}
	}
	written, began := 0, time.Now()
	for at := 0; ; at++ {
		version, err := send(batches[at%len(batches)])
		if err != nil {
			return nil, err
		}
		written += *batch
		if took := time.Since(began).Seconds(); took >= *seconds {
			return answer{"rows": written, "seconds": took, "version": version}, nil
		}
	}
}

// repeated repeats until the timed parts have taken long enough; the first is not counted.
func repeated(once func() (time.Duration, error)) (answer, error) {
	if _, err := once(); err != nil {
		return nil, err
	}
	for repetitions, sum := 0, time.Duration(0); ; {
		took, err := once()
		if err != nil {
			return nil, err
		}
		repetitions, sum = repetitions+1, sum+took
		if sum.Seconds() >= *seconds {
			return answer{"repetitions": repetitions, "seconds": sum.Seconds()}, nil
		}
	}
}

// mirrored mirrors the session; with until, what is timed is the way from the snapshot to this version.
func mirrored(ctx context.Context, until uint64) (answer, error) {
	hub, err := tesseract.Connect(*address, tesseract.Options{})
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	watched, err := hub.Session(ctx, *session)
	if err != nil {
		return nil, err
	}
	var last *tesseract.Mirror
	found, err := repeated(func() (time.Duration, error) {
		began := time.Now()
		mirror, err := watched.Mirror(ctx, tesseract.MirrorOptions{})
		if err != nil {
			return 0, err
		}
		last = mirror
		defer mirror.Close()
		if err := mirror.Ready(ctx); err != nil {
			return 0, err
		}
		if until > 0 {
			began = time.Now()
			if err := mirror.WaitFor(ctx, until); err != nil {
				return 0, err
			}
		}
		return time.Since(began), nil
	})
	if err != nil {
		return nil, err
	}
	held, err := last.Bookmark()
	if err != nil {
		return nil, err
	}
	digest := held.Digest()
	found["rows"], found["digest"] = len(held.Rows), hex.EncodeToString(digest[:])
	return found, nil
}

// drained reads the same stream, and throws it away.
func drained(ctx context.Context, until uint64) (answer, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stub, messages := tesseractv1.NewSessionServiceClient(conn), 0
	found, err := repeated(func() (time.Duration, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		began := time.Now()
		stream, err := stub.WatchSession(ctx, &tesseractv1.WatchSessionRequest{Name: *session})
		if err != nil {
			return 0, err
		}
		for messages = 0; ; {
			response, err := stream.Recv()
			if err != nil {
				return 0, err
			}
			messages++
			switch {
			case response.GetSnapshotEnd() != nil && until == 0:
				return time.Since(began), nil
			case response.GetSnapshotEnd() != nil:
				began = time.Now()
			case response.GetChanges() != nil && until > 0 && response.GetToVersion() >= until:
				return time.Since(began), nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	found["messages"] = messages
	return found, nil
}

func dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
}
