package tesseract

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// The live suite: the client against real servers, which are killed, frozen and cut off.

func TestLive(t *testing.T) {
	for name, live := range map[string]func(*testing.T){
		"types_round_trip":              typesRoundTrip,
		"read_your_writes":              readYourWrites,
		"kill_and_resume":               killAndResume,
		"black_hole":                    blackHole,
		"slow_consumer":                 slowConsumer,
		"error_reasons":                 errorReasons,
		"edit_in_place":                 editInPlace,
		"reset":                         reset,
		"token_and_tls":                 tokenAndTLS,
		"retried_write_is_written_once": retriedWriteIsWrittenOnce,
		"anonymous_session_is_revived":  anonymousSessionIsRevived,
		"row_errors_are_placed":         rowErrorsArePlaced,
		"nothing_is_left":               nothingIsLeft,
	} {
		t.Run(name, live)
	}
}

var everyType = []*Column{
	{Name: "id", Type: Int64, PrimaryKey: true},
	{Name: "täble ✓", Type: Int64},
	{Name: "real", Type: Float64},
	{Name: "moment", Type: Timestamp},
	{Name: "text", Type: String},
	{Name: "flag", Type: Bool},
	{Name: "doc", Type: JSON},
	{Name: "grade", Type: Enum, EnumValues: []string{"low", "hoch ✓"}},
}

func typesRoundTrip(t *testing.T) {
	ctx, hub := soon(t), connect(t, "127.0.0.1:1, "+start(t, nil).Address, quiet()) // the first that answers
	table, err := hub.CreateTable(ctx, "types", everyType)
	check(t, err)
	records := []Record{
		{
			"id": 1, "täble ✓": int64(math.MaxInt64), "real": math.NaN(), "moment": time.UnixMicro(-1).UTC(), "text": "",
			"flag": true, "doc": json.RawMessage(`{"b":1,"a":[1,2.50,null]}`), "grade": "hoch ✓",
		},
		{
			"id": 2, "täble ✓": int64(math.MinInt64), "real": math.Inf(1), "moment": time.UnixMicro(1_700_000_000_123_456).UTC(),
			"text": "🚀 \U0010FFFF\x00", "flag": false, "doc": json.RawMessage("null"), "grade": "low",
		},
		{"id": 3, "täble ✓": int64(1)<<53 + 1, "real": math.Inf(-1), "moment": time.UnixMicro(253402300799999999).UTC()},
		{"id": 4, "täble ✓": nil, "real": 5e-324, "moment": nil, "text": nil, "flag": nil, "doc": nil, "grade": nil},
	}
	for id := 5; id < 100; id++ { // from 32 rows on, texts travel as a dictionary
		records = append(records, Record{"id": id, "text": fmt.Sprint("text ", id%7), "real": math.Copysign(0, -1)})
	}
	version, err := table.Insert(ctx, records)
	check(t, err)
	wanted := make([]string, len(records))
	for at, record := range records {
		record["id"] = int64(record["id"].(int))
		if real, ok := record["real"].(float64); ok {
			record["real"] = real + 0
		}
		for _, column := range everyType {
			wanted[at] += nativeText(record[column.GetName()]) + " | "
		}
	}
	same := func(what string, rows []Row) {
		t.Helper()
		found := make([]string, len(rows))
		for at, row := range rows {
			for _, column := range everyType {
				found[at] += nativeText(row.Value(column.GetName())) + " | "
			}
		}
		if !slices.Equal(found, wanted) {
			t.Errorf("%s: %.2000s\nand not %.2000s", what, strings.Join(found, "\n"), strings.Join(wanted, "\n"))
		}
	}
	all := &Query{Table: "types", Sort: []*SortKey{Asc("id")}}
	result, err := hub.Query(ctx, all, ReadOptions{MinVersion: version})
	check(t, err)
	same("query", result.Rows)
	result, err = table.Get(ctx, func() (keys []Record) {
		for _, record := range records {
			keys = append(keys, Record{"id": record["id"]})
		}
		return keys
	}(), ReadOptions{})
	check(t, err)
	same("get", result.Rows)
	session, err := hub.CreateSession(ctx, "types", all)
	check(t, err)
	mirror, err := session.Mirror(ctx, MirrorOptions{Verify: true})
	check(t, err)
	check(t, mirror.Ready(ctx))
	same("mirror", mirror.Rows())
	// What was read can be written: rows of one table go into another as they are.
	copied, err := hub.CreateTable(ctx, "copy", everyType)
	check(t, err)
	var again []Record
	for _, row := range mirror.Rows() {
		again = append(again, row.Map())
	}
	version, err = copied.Upsert(ctx, again)
	check(t, err)
	result, err = hub.Query(ctx, &Query{Table: "copy", Sort: []*SortKey{Asc("id")}}, ReadOptions{MinVersion: version})
	check(t, err)
	same("copy", result.Rows)
}

// people makes a small table and a session over it.
func people(t testing.TB, hub *Hub, query *Query) (*Table, *Session) {
	t.Helper()
	ctx := soon(t)
	table, err := hub.CreateTable(ctx, "people", []*Column{
		{Name: "id", Type: Int64, PrimaryKey: true}, {Name: "name", Type: String}, {Name: "age", Type: Int64},
	})
	check(t, err)
	_, err = table.Insert(ctx, []Record{{"id": 1, "name": "Ada", "age": 36}, {"id": 2, "name": "Bob", "age": 20}})
	check(t, err)
	query.Table = "people"
	session, err := hub.CreateSession(ctx, "people", query)
	check(t, err)
	return table, session
}

// follower is a mirror and what it was told.
type follower struct {
	*Mirror
	snapshots, changes, resumed, lagged atomic.Int64
	reasons                             chan string
}

func follow(t testing.TB, session *Session, options MirrorOptions) *follower {
	t.Helper()
	f := &follower{reasons: make(chan string, 1000)}
	handler := options.OnChange
	options.OnChange = func(change *Change) {
		if change.Snapshot {
			f.snapshots.Add(1)
		} else {
			f.changes.Add(1)
		}
		call(handler, change)
	}
	options.OnResumed = func(Resumed) { f.resumed.Add(1) }
	options.OnLagged = func(Lagged) { f.lagged.Add(1) }
	options.OnInterrupted = func(event Interrupted) { f.reasons <- event.Reason }
	var err error
	f.Mirror, err = session.Mirror(context.Background(), options)
	check(t, err)
	t.Cleanup(f.Close)
	check(t, f.Ready(soon(t)))
	return f
}

// sameAsQuery demands that the mirror is what the session answers at its version.
func (f *follower) sameAsQuery(t testing.TB, session *Session, window *Window) {
	t.Helper()
	result, err := session.Query(soon(t), ReadOptions{Window: window, MinVersion: f.Version()})
	check(t, err)
	check(t, f.WaitFor(soon(t), result.Version))
	if rows := f.Rows(); f.Version() != result.Version || !slices.EqualFunc(rows, result.Rows, sameRow) {
		t.Fatalf("the mirror has %d rows at version %d, the session %d at %d, and they differ",
			len(rows), f.Version(), len(result.Rows), result.Version)
	}
	if f.TotalCount() != result.TotalCount {
		t.Errorf("the mirror counts %d and the session %d", f.TotalCount(), result.TotalCount)
	}
}

func readYourWrites(t *testing.T) {
	hub := connect(t, start(t, map[string]any{"args": []string{"--progress-interval", "60"}}).Address, quiet())
	ctx := soon(t)
	table, session := people(t, hub, &Query{Filter: Where("age >= 18"), Sort: []*SortKey{Desc("age")}})
	mirror := follow(t, session, MirrorOptions{})
	for id := 10; id < 30; id++ {
		version, err := table.Insert(ctx, []Record{{"id": id, "name": "child or not", "age": id}})
		check(t, err)
		result, err := hub.Query(ctx, &Query{Table: "people", Filter: Where(fmt.Sprint("id == ", id))}, ReadOptions{MinVersion: version})
		check(t, err)
		if len(result.Rows) != 1 || result.Version < version {
			t.Fatalf("a query at version %d does not see the write of version %d", result.Version, version)
		}
		// Of a row that the mirror does not show it hears at once, too: it asks for progress.
		began := time.Now()
		check(t, mirror.WaitFor(ctx, version))
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("the mirror heard of version %d after %s", version, took)
		}
	}
	mirror.sameAsQuery(t, session, nil)
	if mirror.Len() != 2+12 {
		t.Errorf("the mirror has %d rows", mirror.Len())
	}
}

func killAndResume(t *testing.T) {
	noGoroutinesLeft(t)
	server := start(t, nil)
	hub := connect(t, server.Address, quiet())
	ctx := soon(t)
	table, session := people(t, hub, &Query{Sort: []*SortKey{Desc("age")}})
	var states []State
	mirror := follow(t, session, MirrorOptions{OnState: func(state State) { states = append(states, state) }})
	for round := range 3 {
		_, err := table.Insert(ctx, []Record{{"id": 100 + round, "name": "before", "age": round}})
		check(t, err)
		server.do("kill")
		eventually(t, "stale", func() bool { return mirror.State() == Stale })
		if mirror.Len() < 3+round-1 {
			t.Errorf("a stale mirror has dropped its rows: %d", mirror.Len())
		}
		server.do("start")
		version, err := table.Insert(ctx, []Record{{"id": 200 + round, "name": "after", "age": round}})
		check(t, err)
		check(t, mirror.WaitFor(ctx, version))
		mirror.sameAsQuery(t, session, nil)
	}
	if mirror.snapshots.Load() != 1 || mirror.resumed.Load() < 3 {
		t.Errorf("%d snapshots, %d times resumed", mirror.snapshots.Load(), mirror.resumed.Load())
	}
	mirror.Close()
	if got := fmt.Sprint(states); got != "[live stale live stale live stale live ended]" {
		t.Error(got)
	}
}

func blackHole(t *testing.T) {
	const interval = 300 * time.Millisecond
	server := start(t, map[string]any{"proxy": true, "args": []string{"--progress-interval", "0.3"}})
	hub := connect(t, server.Address, quiet())
	table, session := people(t, hub, &Query{})
	mirror := follow(t, session, MirrorOptions{})
	time.Sleep(4 * interval) // it hears of progress, and is not stale
	if mirror.State() != Live || len(mirror.reasons) > 0 {
		t.Fatalf("an idle mirror is %s", mirror.State())
	}
	server.do("blackhole")
	began := time.Now()
	eventually(t, "stale", func() bool { return mirror.State() == Stale })
	if took := time.Since(began); took < interval || took > 10*time.Second {
		t.Errorf("stale after %s, with progress every %s", took, interval)
	}
	if reason := <-mirror.reasons; reason != "silence" {
		t.Error(reason)
	}
	server.do("heal")
	version, err := table.Insert(soon(t), []Record{{"id": 3, "name": "after", "age": 1}})
	check(t, err)
	check(t, mirror.WaitFor(soon(t), version))
	mirror.sameAsQuery(t, session, nil)
	if mirror.snapshots.Load() != 1 || mirror.resumed.Load() == 0 {
		t.Errorf("%d snapshots, %d times resumed", mirror.snapshots.Load(), mirror.resumed.Load())
	}
}

func slowConsumer(t *testing.T) {
	hub := connect(t, start(t, map[string]any{"args": []string{"--lag-after", "0.2"}}).Address, quiet())
	ctx := soon(t)
	table, session := people(t, hub, &Query{})
	release, blocked := make(chan struct{}), make(chan struct{}, 1000)
	mirror := follow(t, session, MirrorOptions{OnChange: func(change *Change) {
		if !change.Snapshot {
			blocked <- struct{}{}
			<-release
		}
	}})
	const commits, rows = 400, 10
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var version uint64
	for at := range commits { // 40 MB in all, of which the window holds 100 kB
		var records []Record
		for id := range rows {
			records = append(records, Record{"id": id, "name": strings.Repeat(fmt.Sprint(at%10), 10_000), "age": at})
		}
		var err error
		version, err = table.Upsert(ctx, records)
		check(t, err)
	}
	<-blocked
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 16<<20 {
		t.Errorf("a mirror whose handler blocks holds %d bytes", held)
	}
	if mirror.State() != Live || len(mirror.reasons) > 0 {
		t.Errorf("the reader is slow, not the server: it is %s", mirror.State())
	}
	close(release)
	check(t, mirror.WaitFor(ctx, version))
	mirror.sameAsQuery(t, session, nil)
	if mirror.changes.Load() > commits/2 || mirror.lagged.Load() == 0 || mirror.snapshots.Load() != 1 {
		t.Errorf("%d changes for %d commits, %d times lagged", mirror.changes.Load(), commits, mirror.lagged.Load())
	}
}

// rawCodec hands bytes through as they are.
type rawCodec struct{}

func (rawCodec) Name() string                          { return "proto" }
func (rawCodec) Marshal(message any) ([]byte, error)   { return *message.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, into any) error { *into.(*[]byte) = data; return nil }

func errorReasons(t *testing.T) {
	server := start(t, nil)
	var scene struct {
		Calls []struct {
			Name, Reason, Method, Request, Address string
			Token                                  *string
			Error                                  struct {
				Code, Reason, Message, Field, Hint, Resource string
				RetryAfterMS                                 *int64 `json:"retry_after_ms"`
				Metadata                                     map[string]string
				RowErrors                                    []RowError `json:"row_errors"`
				RowErrorCount                                uint64     `json:"row_error_count"`
			}
		}
	}
	ask(t, "POST", "/servers/"+server.ID+"/errors", nil, &scene)
	if len(scene.Calls) < 100 {
		t.Fatalf("%d calls", len(scene.Calls))
	}
	hubs := map[string]*Hub{}
	reasons := map[string]bool{}
	for _, one := range scene.Calls {
		options := quiet()
		options.Retry.Attempts = 1
		if one.Token != nil {
			options.Token = *one.Token
		}
		hub := hubs[one.Address+options.Token]
		if hub == nil {
			hub = connect(t, one.Address, options)
			hubs[one.Address+options.Token] = hub
		}
		request, err := base64.StdEncoding.DecodeString(one.Request)
		check(t, err)
		var answer []byte
		err = hub.Invoke(soon(t), one.Method, &request, &answer, grpc.ForceCodec(rawCodec{}))
		var found *Error
		if !errors.As(err, &found) {
			t.Errorf("%s: %v", one.Name, err)
			continue
		}
		reasons[found.Reason] = true
		retry := "never"
		if found.RetryAfter != nil {
			retry = fmt.Sprint(found.RetryAfter.Milliseconds())
		}
		wantedRetry := "never"
		if one.Error.RetryAfterMS != nil {
			wantedRetry = fmt.Sprint(*one.Error.RetryAfterMS)
		}
		text := func(values ...any) string { content, _ := json.Marshal(values); return string(content) }
		got := text(code.Code(found.Code).String(), found.Reason, found.Message, found.Field, found.Hint, found.Resource.Name,
			retry, len(found.Metadata), found.RowErrorCount, len(found.RowErrors))
		wanted := text(one.Error.Code, one.Error.Reason, one.Error.Message, one.Error.Field, one.Error.Hint, one.Error.Resource,
			wantedRetry, len(one.Error.Metadata), one.Error.RowErrorCount, len(one.Error.RowErrors))
		if got != wanted {
			t.Errorf("%s: %s\nand not %s", one.Name, got, wanted)
		}
		for key, value := range one.Error.Metadata {
			if found.Metadata[key] != value {
				t.Errorf("%s: metadata %s is %q and not %q", one.Name, key, found.Metadata[key], value)
			}
		}
		if !slices.Equal(found.RowErrors, one.Error.RowErrors) && len(one.Error.RowErrors) > 0 {
			t.Errorf("%s: %v and not %v", one.Name, found.RowErrors, one.Error.RowErrors)
		}
	}
	if len(reasons) < 30 {
		t.Errorf("only %d reasons", len(reasons))
	}
}

func editInPlace(t *testing.T) {
	hub := connect(t, start(t, nil).Address, quiet())
	ctx := soon(t)
	_, session := people(t, hub, &Query{Sort: []*SortKey{Asc("id")}})
	edits := atomic.Int64{}
	mirror := follow(t, session, MirrorOptions{OnChange: func(change *Change) {
		if change.Edited {
			edits.Add(1)
		}
	}})
	for _, edit := range []struct {
		query *Query
		path  string
	}{
		{&Query{Filter: Where("age >= 30")}, "filter"},
		{&Query{}, "filter"},
		{&Query{Sort: []*SortKey{Asc("age")}}, "sort"},
		{&Query{Columns: []string{"age"}}, "columns"},
		{&Query{Columns: []string{"name", "id", "age"}}, "columns"},
	} {
		version, err := session.Update(ctx, edit.query, edit.path)
		check(t, err)
		check(t, mirror.WaitFor(ctx, version))
		mirror.sameAsQuery(t, session, nil)
	}
	if mirror.snapshots.Load() != 1 || len(mirror.reasons) != 0 || edits.Load() != 5 {
		t.Errorf("%d snapshots, %d interruptions, %d edits", mirror.snapshots.Load(), len(mirror.reasons), edits.Load())
	}
	if names := mirror.Schema().Columns; len(names) != 3 || names[0].GetName() != "name" {
		t.Errorf("the columns are %v", names)
	}
}

func reset(t *testing.T) {
	server := start(t, map[string]any{"args": []string{"--history-commits", "2", "--history-rows", "4"}})
	hub := connect(t, server.Address, quiet())
	table, session := people(t, hub, &Query{})
	mirror := follow(t, session, MirrorOptions{})
	saved, err := mirror.Bookmark()
	check(t, err)
	mirror.Close()
	for id := 10; id < 60; id++ {
		_, err := table.Insert(soon(t), []Record{{"id": id, "name": "missed", "age": id}})
		check(t, err)
	}
	again := follow(t, session, MirrorOptions{Resume: saved})
	if saved.Version == 0 || len(saved.Rows) != 2 {
		t.Errorf("the bookmark is of version %d and has %d rows", saved.Version, len(saved.Rows))
	}
	eventually(t, "live", func() bool { return again.State() == Live })
	again.sameAsQuery(t, session, nil)
	if reason := <-again.reasons; reason != "too_old" || again.snapshots.Load() != 1 || again.resumed.Load() != 0 {
		t.Errorf("interrupted by %s, %d snapshots, %d times resumed", reason, again.snapshots.Load(), again.resumed.Load())
	}
	// A bookmark of another incarnation of the hub, and one with a token that nobody gave.
	other := connect(t, start(t, nil).Address, quiet())
	_, stranger := people(t, other, &Query{})
	lost := follow(t, stranger, MirrorOptions{Resume: saved})
	eventually(t, "live", func() bool { return lost.State() == Live })
	lost.sameAsQuery(t, stranger, nil)
	if reason := <-lost.reasons; reason != "other_epoch" || lost.snapshots.Load() != 1 {
		t.Errorf("interrupted by %s, %d snapshots", reason, lost.snapshots.Load())
	}
	forged, err := lost.Bookmark()
	check(t, err)
	forged.Token = slices.Clone(forged.Token)
	forged.Token[len(forged.Token)-1] ^= 1
	refused := follow(t, stranger, MirrorOptions{Resume: forged})
	eventually(t, "live", func() bool { return refused.State() == Live })
	refused.sameAsQuery(t, stranger, nil)
	if reason := <-refused.reasons; reason != "token_refused" || refused.snapshots.Load() != 1 {
		t.Errorf("interrupted by %s, %d snapshots", reason, refused.snapshots.Load())
	}
}

func tokenAndTLS(t *testing.T) {
	server := start(t, map[string]any{"tls": "mutual", "token": true})
	authority, err := os.ReadFile(server.TLS.CA)
	check(t, err)
	pair, err := tls.LoadX509KeyPair(server.TLS.Cert, server.TLS.Key)
	check(t, err)
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
	config.RootCAs.AppendCertsFromPEM(authority)
	options := quiet()
	options.TLS, options.Token = config, server.Tokens["admin"]
	hub := connect(t, server.Address, options)
	table, session := people(t, hub, &Query{})
	mirror := follow(t, session, MirrorOptions{})
	version, err := table.Insert(soon(t), []Record{{"id": 3, "name": "Cyd", "age": 1}})
	check(t, err)
	check(t, mirror.WaitFor(soon(t), version))
	mirror.sameAsQuery(t, session, nil)

	refused := func(err error, code codes.Code, reason string) {
		t.Helper()
		var found *Error
		if !errors.As(err, &found) || found.Code != code || found.Reason != reason {
			t.Errorf("%v, and not %s %s", err, code, reason)
		}
	}
	options.Token = server.Tokens["read"]
	reader := connect(t, server.Address, options)
	same, err := reader.Table(soon(t), "people")
	check(t, err)
	_, err = same.Insert(soon(t), []Record{{"id": 4}})
	refused(err, codes.PermissionDenied, "ROLE_REQUIRED")
	options.Token = "nobody's"
	_, err = connect(t, server.Address, options).Table(soon(t), "people")
	refused(err, codes.Unauthenticated, "TOKEN_UNKNOWN")
	options.Token = ""
	_, err = connect(t, server.Address, options).Table(soon(t), "people")
	refused(err, codes.Unauthenticated, "TOKEN_MISSING")

	// Without TLS, or with an authority that did not sign the certificate, there is no connection, and that is soon told.
	options.Token, options.TLS = server.Tokens["admin"], nil
	_, err = connect(t, server.Address, options).Table(soon(t), "people")
	refused(err, codes.Unavailable, "")
	options.TLS = config.Clone()
	options.TLS.RootCAs = nil
	_, err = connect(t, server.Address, options).Table(soon(t), "people")
	refused(err, codes.Unavailable, "")
}

func retriedWriteIsWrittenOnce(t *testing.T) {
	server := start(t, map[string]any{"proxy": true})
	hub := connect(t, server.Address, quiet())
	ctx := soon(t)
	table, err := hub.CreateTable(ctx, "counters", []*Column{
		{Name: "id", Type: Int64, PrimaryKey: true}, {Name: "count", Type: Int64},
	})
	check(t, err)
	_, err = table.Insert(ctx, []Record{{"id": 1, "count": 0}})
	check(t, err)
	const times = 8
	for range times {
		// The server gets the write, and the connection breaks before it can answer: the client sends it again.
		server.do("freeze")
		written := make(chan error, 1)
		go func() {
			_, err := hub.Commit(ctx, Increment(table, []Record{{"id": 1, "count": 1}}))
			written <- err
		}()
		time.Sleep(50 * time.Millisecond)
		server.do("cut")
		server.do("thaw")
		check(t, <-written)
	}
	result, err := table.Get(ctx, []Record{{"id": 1}}, ReadOptions{})
	check(t, err)
	if count, _ := result.Rows[0].Int64("count"); count != times {
		t.Errorf("%d increments have made %d", times, count)
	}
	// The same, sent twice on purpose: the second answer is the first.
	remove := &tesseractv1.WriteOperation_Delete{Delete: &tesseractv1.Delete{Filter: Where("id == 1")}}
	request := &tesseractv1.WriteRequest{RequestId: newRequestID(), Operations: []*tesseractv1.WriteOperation{
		{Table: "counters", Operation: remove},
	}}
	stub := tesseractv1.NewTableServiceClient(hub)
	first, err := stub.Write(ctx, request)
	check(t, err)
	second, err := stub.Write(ctx, request)
	check(t, err)
	if first.GetVersion() != second.GetVersion() || second.GetResults()[0].GetDeleted() != 1 {
		t.Errorf("%v and then %v", first, second)
	}
}

func anonymousSessionIsRevived(t *testing.T) {
	server := start(t, nil)
	hub := connect(t, server.Address, quiet())
	table, _ := people(t, hub, &Query{})
	session, err := hub.CreateSession(soon(t), "", &Query{Table: "people"})
	check(t, err)
	before := session.ID()
	mirror := follow(t, session, MirrorOptions{})
	server.do("kill")
	server.do("start")
	version, err := table.Insert(soon(t), []Record{{"id": 3, "name": "Cyd", "age": 1}})
	check(t, err)
	check(t, mirror.WaitFor(soon(t), version))
	mirror.sameAsQuery(t, session, nil)
	if session.ID() == before {
		t.Error("the session is the same as before the restart")
	}
	// One with an id that is deleted ends its mirrors, and says why.
	named, err := hub.Session(soon(t), "people")
	check(t, err)
	ends := follow(t, named, MirrorOptions{})
	check(t, named.Delete(soon(t)))
	eventually(t, "ended", func() bool { return ends.State() == Ended })
	var failure *Error
	if !errors.As(ends.Err(), &failure) || failure.Reason != "SESSION_DELETED" || ends.Len() == 0 {
		t.Errorf("%v, with %d rows", ends.Err(), ends.Len())
	}
	if err := ends.WaitFor(soon(t), math.MaxInt64); !errors.As(err, &failure) || failure.Reason != "SESSION_DELETED" {
		t.Errorf("who waits is told %v", err)
	}
}

func rowErrorsArePlaced(t *testing.T) {
	hub := connect(t, start(t, nil).Address, quiet())
	table, _ := people(t, hub, &Query{})
	placed := func(err error, reason string, operation, row uint32) {
		t.Helper()
		var found *Error
		if !errors.As(err, &found) || found.Reason != reason || len(found.RowErrors) != 1 ||
			found.RowErrors[0].Operation != operation || found.RowErrors[0].Row != row {
			t.Errorf("%v %+v, and not %s in row %d of operation %d", err, found, reason, row, operation)
		}
	}
	// Rows with different columns are several operations of the wire, and errors count as who wrote them does.
	_, err := hub.Commit(soon(t),
		Insert(table, []Record{{"id": 5}, {"id": 6, "name": "x"}, {"id": 7, "name": "y"}}),
		Insert(table, []Record{{"id": 8}, {"id": 9, "age": 1}, {"id": 1, "age": 1}}),
	)
	placed(err, "DUPLICATE_KEY", 1, 2)
	_, err = table.Insert(soon(t), []Record{{"id": 5}, {"id": 6, "age": "old"}})
	placed(err, "WRONG_TYPE", 0, 1)
	_, err = table.Insert(soon(t), []Record{{"id": 5}, {"id": uint64(math.MaxUint64)}})
	placed(err, "WRONG_TYPE", 0, 1)
	committed, err := hub.Commit(soon(t),
		Upsert(table, []Record{{"id": 5}, {"id": 1, "name": "Eva"}, {"id": 6}}),
		Delete(table, []Record{{"id": 2}, {"id": 99}}),
		DeleteWhere(table, Where("id == 6")),
	)
	check(t, err)
	if one := committed.Results[0]; one.GetInserted() != 2 || one.GetUpdated() != 1 ||
		committed.Results[1].GetDeleted() != 1 || committed.Results[2].GetDeleted() != 1 {
		t.Errorf("%v", committed.Results)
	}
}

func nothingIsLeft(t *testing.T) {
	noGoroutinesLeft(t)
	server := start(t, nil)
	hub, err := Connect(server.Address, quiet())
	check(t, err)
	_, session := people(t, hub, &Query{})
	ctx, cancel := context.WithCancel(context.Background())
	var mirrors []*Mirror
	for at := range 30 {
		mirror, err := session.Mirror(ctx, MirrorOptions{})
		check(t, err)
		check(t, mirror.Ready(soon(t)))
		mirrors = append(mirrors, mirror)
		go mirror.WaitFor(ctx, math.MaxInt64) // asks for progress that does not come
		if at%3 == 0 {
			mirror.Close()
		}
	}
	for version := range mirrors[1].Versions(ctx) {
		if version == 0 {
			t.Error("a ready mirror is at version 0")
		}
		break
	}
	cancel()
	for _, mirror := range mirrors {
		eventually(t, "ended", func() bool { return mirror.State() == Ended })
	}
	check(t, hub.Close())
	check(t, hub.Close())
	if _, err := hub.Table(soon(t), "people"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := session.Mirror(context.Background(), MirrorOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
