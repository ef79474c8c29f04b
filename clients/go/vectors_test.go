package tesseract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// The conformance vectors: a player says what a server said, byte for byte, and the mirror must show what is written down:
// rows, order, positions, counts, versions, states, interruptions, errors. What the client asks, tokens included, is
// checked by the player.

type vector struct {
	Name    string
	Watch   json.RawMessage
	Streams []struct{ Responses []json.RawMessage }
	Expect  expectation
}

type expectation struct {
	Shown       []shown
	States      []string
	Interrupted []struct {
		Reason, Version string
		Resumes         bool
	}
	Version string
	Error   *struct {
		Code, Reason, Message string
		Metadata              map[string]string
		Fields                []json.RawMessage
	}
}

type shown struct {
	By, Version  string
	TotalCount   string `json:"total_count"`
	Columns, Key []string
	Rows         [][]json.RawMessage
}

func loadVector(t testing.TB, name string) *vector {
	t.Helper()
	text, err := os.ReadFile(name)
	check(t, err)
	found := &vector{}
	check(t, json.Unmarshal(text, found))
	return found
}

// lines are what must be shown, a line each.
func (v *vector) lines(t testing.TB) []string {
	var found []string
	for _, point := range v.Expect.Shown {
		found = append(found, pointLine(point.By, point.Version, point.TotalCount, point.Columns, point.Key))
		for _, row := range point.Rows {
			cells := make([]string, len(row))
			for at, cell := range row {
				value := &tesseractv1.Value{}
				check(t, protojson.Unmarshal(cell, value))
				cells[at] = wireText(value)
			}
			found = append(found, "  "+strings.Join(cells, " | "))
		}
	}
	found = append(found, "states "+strings.Join(v.Expect.States, " "))
	for _, one := range v.Expect.Interrupted {
		found = append(found, fmt.Sprintf("interrupted %s %s %t", one.Reason, one.Version, one.Resumes))
	}
	found = append(found, "version "+v.Expect.Version)
	if wanted := v.Expect.Error; wanted != nil {
		found = append(found, fmt.Sprintf("error %s %s %q fields %d metadata %v",
			wanted.Code, wanted.Reason, wanted.Message, len(wanted.Fields), wanted.Metadata))
	}
	return found
}

func pointLine(by, version, total string, columns, key []string) string {
	return fmt.Sprintf("%s %s total %s columns %q key %q", by, version, total, columns, key)
}

func wireText(value *tesseractv1.Value) string {
	switch kind := value.GetKind().(type) {
	case nil:
		return "null"
	case *tesseractv1.Value_BoolValue:
		return fmt.Sprintf("bool %t", kind.BoolValue)
	case *tesseractv1.Value_Int64Value:
		return fmt.Sprintf("int64 %d", kind.Int64Value)
	case *tesseractv1.Value_Float64Value:
		return fmt.Sprintf("float64 %x", canonical(kind.Float64Value))
	case *tesseractv1.Value_TimestampValue:
		return fmt.Sprintf("timestamp %d", kind.TimestampValue)
	case *tesseractv1.Value_JsonValue:
		return "json " + kind.JsonValue
	default:
		return fmt.Sprintf("text %q", value.GetStringValue())
	}
}

func nativeText(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("bool %t", value)
	case int64:
		return fmt.Sprintf("int64 %d", value)
	case float64:
		return fmt.Sprintf("float64 %x", canonical(value))
	case time.Time:
		return fmt.Sprintf("timestamp %d", value.UnixMicro())
	case json.RawMessage:
		return "json " + string(value)
	case string:
		return fmt.Sprintf("text %q", value)
	}
	return fmt.Sprintf("unknown %T", value)
}

// reader goes through a vector, and keeps what the mirror shows.
type reader struct {
	mu          sync.Mutex
	points      int
	shown       []string
	states      []string
	interrupted []string
	reasons     []string
	told        []Row // the rows as the changes told them, folded by hand
	wrong       []string
}

func (r *reader) change(mirror *Mirror, change *Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by := "changes"
	if change.Snapshot {
		by = "snapshot_end"
	}
	schema, rows := mirror.Schema(), mirror.Rows()
	var columns []string
	for _, column := range schema.Columns {
		columns = append(columns, column.GetName())
	}
	r.points++
	r.shown = append(r.shown, pointLine(by, fmt.Sprint(mirror.Version()), fmt.Sprint(mirror.TotalCount()), columns, change.Schema.Key))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for at, column := range columns {
			cells[at] = nativeText(row.Value(column))
		}
		r.shown = append(r.shown, "  "+strings.Join(cells, " | "))
	}
	for _, removed := range change.Removed {
		r.reasons = append(r.reasons, removed.Reason)
	}
	if change.Version != mirror.Version() || change.TotalCount != mirror.TotalCount() || mirror.Len() != len(rows) {
		r.wrong = append(r.wrong, fmt.Sprintf("the change to %d says something else than the mirror", change.Version))
	}
	r.told = foldByHand(r.told, change)
	for at, row := range rows {
		if at >= len(r.told) || len(r.told) != len(rows) || !sameRow(row, r.told[at]) {
			r.wrong = append(r.wrong, fmt.Sprintf("the change to %d does not lead to row %d of the mirror", change.Version, at))
			break
		}
	}
}

// foldByHand applies a change as its documentation says, one row after the other: another way to the same rows.
func foldByHand(rows []Row, change *Change) []Row {
	if change.Snapshot {
		return slices.Clone(change.Rows)
	}
	find := func(key Row) int {
		return slices.IndexFunc(rows, func(row Row) bool {
			return !slices.ContainsFunc(change.Schema.Key, func(name string) bool {
				return nativeText(row.Value(name)) != nativeText(key.Value(name))
			})
		})
	}
	for _, removed := range change.Removed {
		at := find(removed.Key)
		rows = slices.Delete(rows, at, at+1)
	}
	for at, row := range rows { // of an edit: other columns
		values := make([]any, len(change.Schema.Columns))
		for to, column := range change.Schema.Columns {
			values[to] = row.Value(column.GetName())
		}
		rows[at] = Row{change.Schema, values}
	}
	for _, updated := range change.Updated {
		at := find(updated)
		for _, column := range updated.Schema().Columns {
			rows[at].values[change.Schema.Index(column.GetName())] = updated.Value(column.GetName())
		}
	}
	placed := slices.Clone(change.Inserted)
	for _, moved := range change.Moved {
		at := find(moved.Row)
		placed = append(placed, Placed{moved.Index, rows[at]})
		rows = slices.Delete(rows, at, at+1)
	}
	slices.SortFunc(placed, func(a, b Placed) int { return int(a.Index) - int(b.Index) })
	for _, one := range placed {
		rows = slices.Insert(rows, int(one.Index), one.Row)
	}
	return rows
}

func sameRow(one, other Row) bool {
	return one.schema.same(other.schema) && slices.EqualFunc(one.values, other.values, func(a, b any) bool {
		return nativeText(a) == nativeText(b)
	})
}

// readVector goes through a vector; it returns what the mirror showed.
func readVector(t testing.TB, v *vector, address string) *reader {
	t.Helper()
	options := quiet()
	options.Timeout = 10 * time.Second
	hub := connect(t, address, options)
	defer hub.Close()
	session, err := hub.Session(soon(t), v.Name+".go")
	check(t, err)
	asked := &tesseractv1.WatchSessionRequest{}
	check(t, protojson.Unmarshal(v.Watch, asked))
	r := &reader{}
	r.mu.Lock()
	var mirror *Mirror
	mirror, err = session.Mirror(context.Background(), MirrorOptions{
		Window: asked.GetWindow(), Verify: asked.GetIncludeDigest(), Delivery: asked.GetDelivery(), OnLag: asked.GetOnLag(),
		MinInterval: asked.GetMinInterval().AsDuration(),
		OnChange:    func(change *Change) { r.change(mirror, change) },
		OnState: func(state State) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.states = append(r.states, string(state))
		},
		OnInterrupted: func(event Interrupted) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.interrupted = append(r.interrupted, fmt.Sprintf("interrupted %s %d %t", event.Reason, event.Version, event.Resumes))
		},
	})
	r.mu.Unlock()
	check(t, err)
	defer mirror.Close()
	over := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if mirror.State() == Ended {
			return true
		}
		there := r.points >= len(v.Expect.Shown) && len(r.states) >= len(v.Expect.States)
		return there && fmt.Sprint(mirror.Version()) == v.Expect.Version && v.Expect.Error == nil
	}
	for deadline := time.Now().Add(20 * time.Second); !over() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // nothing more may come
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = append(r.shown, "states "+strings.Join(r.states, " "))
	r.shown = append(r.shown, r.interrupted...)
	r.shown = append(r.shown, fmt.Sprintf("version %d", mirror.Version()))
	if failure := (*Error)(nil); errors.As(mirror.Err(), &failure) {
		metadata := failure.Metadata
		if metadata == nil {
			metadata = map[string]string{}
		}
		r.shown = append(r.shown, fmt.Sprintf("error %s %s %q fields %d metadata %v",
			code.Code(failure.Code), failure.Reason, failure.Message, len(failure.Fields), metadata))
	}
	return r
}

type player struct{ ID, Address string }

func (p player) mismatches(t testing.TB, name string) []string {
	var all []string
	ask(t, "GET", "/players/"+p.ID+"/mismatches", nil, &all)
	return slices.DeleteFunc(all, func(text string) bool { return !strings.HasPrefix(text, name+".go:") })
}

func TestVectors(t *testing.T) {
	noGoroutinesLeft(t)
	files := vectorFiles(t)
	if len(files) < 60 {
		t.Fatalf("%d vectors, and there should be 60 or more", len(files))
	}
	var plays player
	ask(t, "POST", "/players", nil, &plays)
	t.Cleanup(func() { ask(t, "DELETE", "/players/"+plays.ID, nil, nil) })
	t.Run("all", func(t *testing.T) {
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				t.Parallel()
				v := loadVector(t, file)
				found := readVector(t, v, plays.Address)
				for _, text := range append(plays.mismatches(t, v.Name), found.wrong...) {
					t.Error(text)
				}
				if len(v.Expect.Interrupted) == 0 && !slices.Equal(found.reasons, v.removeReasons(t)) {
					t.Errorf("rows leave because of %v and not %v", found.reasons, v.removeReasons(t))
				}
				compare(t, found.shown, v.lines(t))
			})
		}
	})
}

// removeReasons are the reasons of all removes that the server told.
func (v *vector) removeReasons(t testing.TB) []string {
	var found []string
	for _, stream := range v.Streams {
		for _, text := range stream.Responses {
			said := &response{}
			check(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, said))
			for _, removes := range said.GetChanges().GetRemoves() {
				for range removes.GetKeys().GetRowCount() {
					reason, known := strings.CutPrefix(removes.GetReason().String(), "REMOVE_REASON_")
					if !known {
						reason = "unknown"
					}
					found = append(found, strings.ToLower(reason))
				}
			}
		}
	}
	return found
}

func compare(t *testing.T, found, wanted []string) {
	t.Helper()
	for at := range max(len(found), len(wanted)) {
		one, other := "(nothing)", "(nothing)"
		if at < len(found) {
			one = found[at]
		}
		if at < len(wanted) {
			other = wanted[at]
		}
		if one != other {
			t.Fatalf("line %d of what is shown is\n%.400s\nand should be\n%.400s", at, one, other)
		}
	}
}

// TestAWrongClientIsFoundOut shows that the runner can fail: another value, another place, a change that is not told, and a
// token that the player does not expect.
func TestAWrongClientIsFoundOut(t *testing.T) {
	const name = "resume_net_change"
	var files []string
	for _, file := range vectorFiles(t) {
		if strings.TrimSuffix(filepath.Base(file), ".json") == name {
			files = append(files, file)
		}
	}
	if len(files) != 1 {
		t.Fatalf("there is no vector %s", name)
	}
	for _, wrong := range []string{"another_value", "another_place", "not_told", "another_token"} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			v := loadVector(t, files[0])
			var plays player
			ask(t, "POST", "/players", map[string]any{"wrong": wrong}, &plays)
			t.Cleanup(func() { ask(t, "DELETE", "/players/"+plays.ID, nil, nil) })
			found := readVector(t, v, plays.Address)
			mismatches := plays.mismatches(t, v.Name)
			if slices.Equal(found.shown, v.lines(t)) && len(mismatches) == 0 {
				t.Error("the runner has not noticed it")
			}
			if (len(mismatches) > 0) != (wrong == "another_token") {
				t.Errorf("the player says %q", mismatches)
			}
		})
	}
}
