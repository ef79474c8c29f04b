package tesseract

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// What can be tested without a server.

var mixed = newSchema([]*Column{
	{Name: "id", Type: Int64, PrimaryKey: true}, {Name: "x", Type: Float64}, {Name: "t", Type: Timestamp},
	{Name: "s", Type: String}, {Name: "b", Type: Bool}, {Name: "j", Type: JSON}, {Name: "e", Type: Enum},
})

func mixedRows() []Row {
	micros := func(at int64) time.Time { return time.UnixMicro(at).UTC() }
	text := func(text string) json.RawMessage { return json.RawMessage(text) }
	return []Row{
		{mixed, []any{int64(9007199254740993), math.Copysign(0, -1), micros(-1), "", false, text(`{"a": 1.50}`), "low"}},
		{mixed, []any{int64(math.MinInt64), math.NaN(), micros(253402300799999999), "🚀 déjà", true, text("null"), "high"}},
		{mixed, []any{int64(0), math.Inf(1), nil, nil, nil, nil, nil}},
		{mixed, []any{int64(1), nil, micros(0), "a\x00b", true, text("[]"), "low"}},
	}
}

// TestDigest compares with what tesseract_grpc.testing.digest_of makes of the same rows.
func TestDigest(t *testing.T) {
	for wanted, rows := range map[string][]Row{
		"24d307e55849af197e95b134297fec8af012ddbd6337b77fb9a2be18252b46d0": mixedRows(),
		"c1a57ebed846b4f091a0f7fb6bed8c6998958ed6d5c3d95eb77c59e4f5dfd0f7": nil,
	} {
		if found := digestOf(mixed, rows); hex.EncodeToString(found[:]) != wanted {
			t.Errorf("%x and not %s", found, wanted)
		}
	}
	odd := mixedRows()
	odd[1].values[1] = math.Float64frombits(0x7FF8000000000123) // another NaN is the same
	one, other := digestOf(mixed, odd), digestOf(mixed, mixedRows())
	if one != other {
		t.Error("a NaN is another one")
	}
}

func TestBatchesRoundTrip(t *testing.T) {
	for _, count := range []int{0, 1, 4, dictionaryFrom - 1, dictionaryFrom, 100} {
		var records []Record
		for at := range count {
			records = append(records, mixedRows()[at%4].Map())
		}
		var names []string
		for _, column := range mixed.Columns {
			names = append(names, column.GetName())
		}
		slices.Reverse(names) // columns are found by name
		batch, refused := encode(mixed, names, records)
		if len(refused) > 0 {
			t.Fatal(refused)
		}
		rows, err := decode(batch, mixed)
		check(t, err)
		for at, row := range rows {
			if !sameRow(row, mixedRows()[at%4]) || row.schema != mixed {
				t.Fatalf("row %d is %v", at, row.Map())
			}
		}
	}
}

func TestBatchesThatDoNotHoldTogether(t *testing.T) {
	ids := &tesseractv1.ColumnData{Name: "id", Values: &tesseractv1.ColumnData_Int64S{
		Int64S: &tesseractv1.Int64Values{Values: []int64{1, 2}},
	}}
	texts := func(codes ...uint32) *tesseractv1.ColumnData {
		return &tesseractv1.ColumnData{Name: "s", Values: &tesseractv1.ColumnData_Dictionary{
			Dictionary: &tesseractv1.DictionaryValues{Dictionary: []string{"a"}, Codes: codes},
		}}
	}
	wrongType := &tesseractv1.ColumnData{Name: "s", Values: ids.Values}
	shortBitmap := &tesseractv1.ColumnData{Name: "id", Values: ids.Values, Validity: []byte{3, 0}}
	for name, batch := range map[string]*tesseractv1.RowBatch{
		"length":          {RowCount: 3, Columns: []*tesseractv1.ColumnData{ids}},
		"code":            {RowCount: 2, Columns: []*tesseractv1.ColumnData{texts(0, 1)}},
		"type":            {RowCount: 2, Columns: []*tesseractv1.ColumnData{wrongType}},
		"bitmap":          {RowCount: 2, Columns: []*tesseractv1.ColumnData{shortBitmap}},
		"rows of nothing": {RowCount: math.MaxUint32},
		"unknown column":  {RowCount: 2, Columns: []*tesseractv1.ColumnData{{Name: "nobody"}}},
	} {
		if rows, err := decode(batch, mixed); err == nil {
			t.Errorf("%s: %v", name, rows)
		}
	}
	// What has no meaning is ignored: the code of a null. A type of a later version is read as what it holds.
	null := texts(0, 99)
	null.Validity = []byte{1}
	rows, err := decode(&tesseractv1.RowBatch{RowCount: 2, Columns: []*tesseractv1.ColumnData{null}}, mixed)
	check(t, err)
	if rows[0].Value("s") != "a" || rows[1].Value("s") != nil {
		t.Error(rows)
	}
	later := newSchema([]*Column{{Name: "id", Type: 99, PrimaryKey: true}})
	rows, err = decode(&tesseractv1.RowBatch{RowCount: 2, Columns: []*tesseractv1.ColumnData{ids}}, later)
	check(t, err)
	if rows[1].Value("id") != int64(2) {
		t.Error(rows)
	}
}

// TestFoldDifferential folds random changes in two ways: the replica's, and row after row as the contract is written.
func TestFoldDifferential(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		keys := [][]string{{"id"}, {"id", "s"}}[seed%2]
		var columns []*Column
		for _, column := range mixed.Columns {
			primary := slices.Contains(keys, column.GetName())
			columns = append(columns, &Column{Name: column.Name, Type: column.Type, PrimaryKey: primary})
		}
		schema := newSchema(columns)
		next := int64(0)
		fresh := func() Row {
			next++
			return Row{schema, []any{next, random.Float64(), nil, fmt.Sprint(next % 3), nil, nil, nil}}
		}
		part := newSchema([]*Column{columns[0], columns[1], columns[3]})
		partOf := func(row Row) Row {
			return Row{part, []any{row.values[0], random.Float64(), row.values[3]}}
		}
		first := &Change{Snapshot: true, Schema: schema}
		for range random.IntN(8) {
			first.Rows = append(first.Rows, fresh())
		}
		held, told := replica{}, []Row(nil)
		check(t, held.apply(first, "epoch"))
		told = foldByHand(told, first)
		for version := range uint64(30) {
			change := &Change{Schema: schema, FromVersion: version, Version: version + 1}
			var stay []Row
			for _, row := range told {
				switch random.IntN(4) {
				case 0:
					change.Removed = append(change.Removed, Removed{"deleted", row})
				case 1:
					change.Updated = append(change.Updated, partOf(row))
					stay = append(stay, row)
				default:
					stay = append(stay, row)
				}
			}
			inserts := random.IntN(4)
			places := random.Perm(len(stay) + inserts)
			for range inserts {
				change.Inserted = append(change.Inserted, Placed{uint32(places[0]), fresh()})
				places = places[1:]
			}
			for _, row := range stay {
				if random.IntN(3) == 0 {
					change.Moved = append(change.Moved, Placed{uint32(places[0]), partOf(row)})
					places = places[1:]
				}
			}
			check(t, held.apply(change, ""))
			told = foldByHand(told, change)
			if !slices.EqualFunc(held.rows(), told, sameRow) || len(held.entries) != len(told) {
				t.Fatalf("seed %d version %d: %v and not %v", seed, version, held.rows(), told)
			}
		}
	}
}

// TestFoldIsWholeOrNotAtAll gives a replica changes that cannot be right; each must leave the rows as they were.
func TestFoldIsWholeOrNotAtAll(t *testing.T) {
	rows := mixedRows()
	stranger := Row{mixed, slices.Clone(rows[0].values)}
	stranger.values[0] = int64(77)
	at := func(index uint32, row Row) Placed { return Placed{index, row} }
	for name, change := range map[string]*Change{
		"removed twice":          {Removed: []Removed{{"", rows[0]}, {"", rows[0]}}},
		"removed stranger":       {Removed: []Removed{{"", rows[1]}, {"", stranger}}},
		"updated stranger":       {Removed: []Removed{{"", rows[1]}}, Updated: []Row{stranger}},
		"removed and updated":    {Removed: []Removed{{"", rows[1]}}, Updated: []Row{rows[1]}},
		"removed and moved":      {Removed: []Removed{{"", rows[1]}}, Moved: []Placed{at(0, rows[1])}},
		"moved twice":            {Moved: []Placed{at(0, rows[1]), at(1, rows[1])}},
		"moved stranger":         {Updated: []Row{rows[0]}, Moved: []Placed{at(0, stranger)}},
		"comes twice":            {Inserted: []Placed{at(0, stranger), at(1, stranger)}},
		"comes though it is":     {Inserted: []Placed{at(0, rows[0])}},
		"comes where it leaves":  {Removed: []Removed{{"", rows[0]}}, Inserted: []Placed{at(0, rows[0])}},
		"beyond the window":      {Inserted: []Placed{at(5, stranger)}},
		"two at one place":       {Moved: []Placed{at(0, rows[0])}, Inserted: []Placed{at(0, stranger)}},
		"edit lacks a new value": {Edited: true, fresh: []string{"new"}, Updated: []Row{rows[0]}},
	} {
		held := replica{}
		check(t, held.apply(&Change{Snapshot: true, Schema: mixed, Rows: rows, Version: 5}, "epoch"))
		change.Schema, change.Version = mixed, 6
		err := held.apply(change, "")
		var why *broken
		if !errors.As(err, &why) || why.reason != "malformed" {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.EqualFunc(held.rows(), mixedRows(), sameRow) || held.version != 5 {
			t.Errorf("%s: the rows have changed", name)
		}
		check(t, held.apply(&Change{Schema: mixed, Version: 6, Removed: []Removed{{"", rows[2]}}}, ""))
		if len(held.order) != 3 {
			t.Errorf("%s: the next change does not hold", name)
		}
	}
	if err := (&replica{}).apply(&Change{Schema: mixed}, ""); err == nil {
		t.Error("a change before the snapshot")
	}
	if err := (&replica{}).apply(&Change{Snapshot: true, Schema: mixed, Rows: []Row{rows[0], rows[0]}}, ""); err == nil {
		t.Error("a key twice in a snapshot")
	}
}

func TestKeysOfGroups(t *testing.T) {
	one := newSchema([]*Column{{Name: "x", Type: Float64, PrimaryKey: true}})
	two := newSchema([]*Column{{Name: "x", Type: Float64, PrimaryKey: true}, {Name: "s", Type: String, PrimaryKey: true}})
	if keyOf(Row{one, []any{math.NaN()}}, one.Key) != keyOf(Row{one, []any{math.NaN()}}, one.Key) {
		t.Error("NaN names a group")
	}
	if keyOf(Row{one, []any{nil}}, one.Key) == keyOf(Row{one, []any{0.0}}, one.Key) {
		t.Error("null is not zero")
	}
	if keyOf(Row{two, []any{nil, "a"}}, two.Key) == keyOf(Row{two, []any{nil, nil}}, two.Key) {
		t.Error("null is not a text")
	}
	if keyOf(Row{two, []any{math.NaN(), ""}}, two.Key) != keyOf(Row{two, []any{math.NaN(), ""}}, two.Key) {
		t.Error("equal keys")
	}
}

func TestBookmarksRoundTripAndAreWhole(t *testing.T) {
	for _, rows := range [][]Row{mixedRows(), nil} {
		saved := &Bookmark{"epoch", 7, []byte("token"), 9, mixed, rows}
		content, err := saved.MarshalBinary()
		check(t, err)
		found := &Bookmark{}
		check(t, found.UnmarshalBinary(content))
		if found.Epoch != "epoch" || found.Version != 7 || string(found.Token) != "token" || found.TotalCount != 9 ||
			!found.Schema.same(mixed) || !slices.EqualFunc(found.Rows, rows, sameRow) || found.Digest() != saved.Digest() {
			t.Errorf("%+v", found)
		}
		for length := range content {
			if err := (&Bookmark{}).UnmarshalBinary(content[:length]); err == nil {
				t.Fatalf("%d of %d bytes are a bookmark", length, len(content))
			}
		}
		if err := (&Bookmark{}).UnmarshalBinary(append(content, content...)); err == nil {
			t.Error("two bookmarks are one")
		}
	}
}

func TestErrors(t *testing.T) {
	made := status.New(codes.Code(9), "not now")
	made, err := made.WithDetails(
		&errdetails.ErrorInfo{Reason: "OF_A_LATER_VERSION", Metadata: map[string]string{"hint": "wait", "line": "3", "field": "f"}},
		&emptypb.Empty{}, // a detail that nobody knows
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
		&errdetails.ResourceInfo{ResourceType: "tesseract.v1.Table", ResourceName: "hubs/default/tables/x"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "a.b", Description: "no"}}},
		&tesseractv1.RowErrors{Total: 200, Errors: []*tesseractv1.RowError{{Operation: 1, Row: 2, Column: "c", Reason: "R"}}},
	)
	check(t, err)
	var found *Error
	if !errors.As(fmt.Errorf("wrapped: %w", errorOf(made.Err())), &found) {
		t.Fatal("no *Error")
	}
	wanted := []RowError{{1, 2, "c", "R", ""}}
	if found.Reason != "OF_A_LATER_VERSION" || found.Hint != "wait" || found.Line != 3 || found.Field != "a.b" ||
		*found.RetryAfter != 1500*time.Millisecond || found.Resource.Name != "hubs/default/tables/x" ||
		found.RowErrorCount != 200 || !slices.Equal(found.RowErrors, wanted) || status.Code(found) != codes.FailedPrecondition {
		t.Errorf("%+v", found)
	}
	if !errors.Is(errorOf(status.Error(codes.DeadlineExceeded, "")), context.DeadlineExceeded) ||
		!errors.Is(errorOf(status.Error(codes.Canceled, "")), context.Canceled) || !errors.Is(closedError("it"), ErrClosed) {
		t.Error("errors of this side are not found by errors.Is")
	}
}

func TestPausesAreRandomBelowALimitThatDoubles(t *testing.T) {
	retry := Retry{InitialBackoff: 100 * time.Millisecond, MaxBackoff: 5 * time.Second}
	most := make([]time.Duration, 10)
	for range 2000 {
		pauses := pauses{retry: retry}
		for at := range most {
			most[at] = max(most[at], pauses.next(nil))
		}
	}
	for at, found := range most {
		limit := min(retry.InitialBackoff<<at, retry.MaxBackoff)
		if found > limit || found < limit*9/10 {
			t.Errorf("pause %d is at most %s, and should be %s", at, found, limit)
		}
	}
	pauses, asked := pauses{retry: retry}, time.Second
	for range 100 {
		if found := pauses.next(&asked); found < time.Second || found > 6*time.Second {
			t.Errorf("%s, and the server asked for a second", found)
		}
	}
	pauses.reset()
	if pauses.next(nil) > retry.InitialBackoff {
		t.Error("after a success, pauses begin anew")
	}
}

func TestCallsGiveUp(t *testing.T) {
	options := quiet()
	options.Retry = Retry{Attempts: 3, InitialBackoff: time.Millisecond, MaxBackoff: time.Millisecond}
	hub := connect(t, "127.0.0.1:1", options)
	var found *Error
	if _, err := hub.Table(soon(t), "x"); !errors.As(err, &found) || found.Code != codes.Unavailable {
		t.Errorf("%v", err)
	}
	options.Retry.GiveUpAfter = 50 * time.Millisecond
	hub = connect(t, "127.0.0.1:1", options)
	session := &Session{hub: hub, session: &tesseractv1.Session{Name: "hubs/default/sessions/x"}}
	mirror, err := session.Mirror(context.Background(), MirrorOptions{})
	check(t, err)
	if err := mirror.Ready(soon(t)); !errors.As(err, &found) || found.Code != codes.Unavailable || mirror.State() != Ended {
		t.Errorf("%v, %s", err, mirror.State())
	}
	if _, err := Connect("", Options{}); err == nil {
		t.Error("no address")
	}
	if _, err := Connect("localhost:1", Options{Timeout: -1}); err == nil {
		t.Error("no time")
	}
}

func TestStructs(t *testing.T) {
	type grade string
	type person struct {
		ID     uint32          `tesseract:"id"`
		X      *float64        `tesseract:"x"`
		Moment *time.Time      `tesseract:"t"`
		Name   *string         `tesseract:"s"`
		Doc    json.RawMessage `tesseract:"j"`
		Grade  *grade          `tesseract:"e"`
		Other  int
	}
	found, err := ScanAll[person](mixedRows()[2:])
	check(t, err)
	if found[0].ID != 0 || *found[0].X != math.Inf(1) || found[0].Moment != nil || found[0].Name != nil || found[0].Doc != nil {
		t.Errorf("%+v", found[0])
	}
	if found[1].X != nil || !found[1].Moment.Equal(time.UnixMicro(0)) || string(found[1].Doc) != "[]" || *found[1].Grade != "low" {
		t.Errorf("%+v", found[1])
	}
	var strict struct {
		Name string `tesseract:"s"`
	}
	if err := mixedRows()[2].Scan(&strict); err == nil || !strings.Contains(err.Error(), "*string") {
		t.Errorf("a null in a string: %v", err)
	}
	var narrow struct {
		ID int8 `tesseract:"id"`
	}
	if err := mixedRows()[0].Scan(&narrow); err == nil {
		t.Error("2^53 + 1 in an int8")
	}
}

func TestValuesThatDoNotFit(t *testing.T) {
	for _, one := range []struct {
		value any
		kind  Type
	}{
		{"1", Int64}, {1.5, Int64}, {true, Int64}, {1, Bool}, {uint64(math.MaxUint64), Int64}, {int64(1)<<53 + 1, Float64}, {1, String},
		{time.Now(), Int64}, {[]int{1}, Int64}, {make(chan int), JSON}, {"2026-11-23", Timestamp}, {"\xff", String}, {new(int), Int64},
		{time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), Timestamp},
	} {
		if value, fits := native(one.value, one.kind); fits {
			t.Errorf("%v as %s is %v", one.value, one.kind, value)
		}
	}
	type grade string
	for _, one := range []struct {
		value, wanted any
		kind          Type
	}{
		{int32(7), int64(7), Int64}, {uint8(7), int64(7), Int64}, {7, 7.0, Float64}, {float32(0.5), 0.5, Float64}, {nil, nil, Int64},
		{map[string]int{"a": 1}, json.RawMessage(`{"a":1}`), JSON}, {"text", json.RawMessage(`"text"`), JSON}, {nil, nil, JSON},
		{grade("low"), "low", Enum},
	} {
		if value, fits := native(one.value, one.kind); !fits || !reflect.DeepEqual(value, one.wanted) {
			t.Errorf("%v as %s is %#v", one.value, one.kind, value)
		}
	}
}

// TestReadmeIsTheExample demands that what the README shows is what the compiler has seen.
func TestReadmeIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	check(t, err)
	example, err := os.ReadFile("example_test.go")
	check(t, err)
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	code, _, _ := strings.Cut(rest, "```")
	lines := 0
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			lines++
			if !strings.Contains(string(example), line) {
				t.Errorf("example_test.go lacks %q", line)
			}
		}
	}
	if lines < 20 {
		t.Errorf("the README shows %d lines", lines)
	}
}

func TestVersionIsOne(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(Version) {
		t.Error(Version)
	}
}

// TestDamagedMessagesNeverPanic plays the vectors' messages with bytes changed: whatever a feed makes of them, rows are
// applied whole or not at all, and this process lives on.
func TestDamagedMessagesNeverPanic(t *testing.T) {
	random, broke := rand.New(rand.NewPCG(1, 2)), 0
	for _, file := range vectorFiles(t) {
		for _, stream := range loadVector(t, file).Streams {
			var said [][]byte
			size := 0
			for _, text := range stream.Responses {
				message := &response{}
				check(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, message))
				content, err := proto.Marshal(message)
				check(t, err)
				said, size = append(said, content), size+len(content)
			}
			if size > 20_000 {
				continue // those are tested once, as they are
			}
			for range 40 {
				at, held := &point{}, &replica{}
				feed := newFeed(at, "")
				for _, content := range said {
					content = slices.Clone(content)
					if len(content) > 0 && random.IntN(3) == 0 {
						content[random.IntN(len(content))] ^= 1 << random.IntN(8)
					}
					message := &response{}
					if proto.Unmarshal(content, message) != nil {
						break
					}
					event, err := feed.receive(message)
					if change, ok := event.(*Change); ok && err == nil {
						if err = held.apply(change, at.epoch); err == nil {
							digestOf(held.schema, held.rows())
						}
					}
					if len(held.order) != len(held.entries) {
						t.Fatalf("%s: %d rows and %d keys", file, len(held.order), len(held.entries))
					}
					if err != nil {
						broke++
						break
					}
				}
			}
		}
	}
	if broke < 500 {
		t.Errorf("only %d streams were found to be damaged", broke)
	}
}

// TestAnEditTellsColumnsOfAnotherTypeAnew: what a column held is no value of its new type, so a change that does not tell it
// cannot be right.
func TestAnEditTellsColumnsOfAnotherTypeAnew(t *testing.T) {
	id, n := &Column{Name: "id", Type: Int64, PrimaryKey: true}, &Column{Name: "n", Type: Int64}
	text := &Column{Name: "n", Type: String}
	batch, refused := encode(newSchema([]*Column{id, n}), []string{"id", "n"}, []Record{{"id": 1, "n": 2}})
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	feed, held, err := newFeed(&point{}, ""), &replica{}, error(nil)
	for _, said := range []*response{
		{Event: &tesseractv1.WatchSessionResponse_Begin{Begin: &tesseractv1.Begin{Columns: []*Column{id, n}}}},
		{Event: &tesseractv1.WatchSessionResponse_SnapshotRows{SnapshotRows: &tesseractv1.SnapshotRows{Rows: batch}}},
		{Event: &tesseractv1.WatchSessionResponse_SnapshotEnd{SnapshotEnd: &tesseractv1.SnapshotEnd{RowCount: 1}}},
		{Continued: true, Event: &tesseractv1.WatchSessionResponse_SessionChanged{
			SessionChanged: &tesseractv1.SessionChanged{Columns: []*Column{id, text}},
		}},
		{Event: &tesseractv1.WatchSessionResponse_Changes{Changes: &tesseractv1.Changes{}}},
	} {
		event, failure := feed.receive(said)
		check(t, failure)
		if change, ok := event.(*Change); ok {
			err = held.apply(change, "")
		}
	}
	if why := (*broken)(nil); !errors.As(err, &why) || why.reason != "malformed" || held.rows()[0].Value("n") != int64(2) {
		t.Errorf("%v, and the row is %v", err, held.rows()[0].Map())
	}
}
