package tesseract

import (
	"fmt"
	"slices"
	"time"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// One watch stream as a state machine: responses in, events out.
//
//	opening --Begin--> loading --SnapshotRows*, SnapshotEnd--> live --Changes, Progress, Lagged--> live
//	                                                           live --SessionChanged--> live, Changes must follow
//	                                                loading or live --Reset--> opening
//	opening --Begin, resumed--> live
//
// The feed trusts nothing. Every response must begin at the version where the one before ended, pieces must follow one
// another without a hole, and a message must be one that its state allows. Whatever else happens is a broken, and the
// watch starts again with a new feed: a mirror is then late, but never wrong.

// broken says why a stream cannot be trusted any more: a word, and the same for people.
type broken struct{ reason, message string }

func (b *broken) Error() string { return b.message }

func breaks(reason, format string, values ...any) error {
	return &broken{reason, fmt.Sprintf(format, values...)}
}

func malformed(format string, values ...any) error { return breaks("malformed", format, values...) }

// point is where a watch is, over all its streams: the last consistent point, and the token that leads back to it. It is
// moved at consistent points only, so its token always stands for exactly the rows that the reader has.
type point struct {
	epoch        string
	version      uint64
	began        bool // whether the server has ever answered
	schema       *Schema
	watchID      string
	token        []byte
	tokenVersion uint64
}

// resume is the token to go on with; empty when the server gave none for exactly this point, as one of an earlier point
// would repeat changes that the reader has.
func (p *point) resume() []byte {
	if p.tokenVersion != p.version {
		return nil
	}
	return p.token
}

func (p *point) move(version uint64, token []byte) {
	p.version = version
	if len(token) > 0 {
		p.token, p.tokenVersion = token, version
	}
}

// forget makes the next stream begin with a snapshot: the token was refused, or the rows are in doubt.
func (p *point) forget() { p.token = nil }

type phase string

const (
	opening phase = "opening"
	loading phase = "loading"
	live    phase = "live"
)

// defaultInterval is assumed when Begin does not say how often Progress comes.
const defaultInterval = 5 * time.Second

type feed struct {
	at       *point
	reason   string // why the next snapshot comes
	resuming bool   // whether the server was given a token
	phase    phase
	interval time.Duration
	schema   *Schema
	version  uint64

	snapshot        []Row
	snapshotVersion uint64
	snapshotBegan   bool

	pieces        []*tesseractv1.Changes
	piecesVersion uint64
	skipped       uint64
	edited        *Change // what an edit says of the change that must follow
}

func newFeed(at *point, reason string) *feed {
	return &feed{at: at, reason: reason, resuming: len(at.resume()) > 0, phase: opening, interval: defaultInterval}
}

type response = tesseractv1.WatchSessionResponse

// allowed are the events of each phase.
var allowed = map[phase][]string{
	opening: {"begin"},
	loading: {"snapshot_rows", "snapshot_end", "reset"},
	live:    {"changes", "progress", "lagged", "reset", "session_changed"},
}

var events = (&response{}).ProtoReflect().Descriptor().Oneofs().ByName("event")

// receive takes one response. It returns a *Change or a progress when a consistent point was reached, an *Interrupted,
// *Resumed or *Lagged when that is to be told, or nothing.
func (f *feed) receive(r *response) (told any, err error) {
	field := r.ProtoReflect().WhichOneof(events)
	if field == nil { // of a later version of the protocol
		return nil, breaks("unknown_event", "the server sent an event that this client does not know")
	}
	name := string(field.Name())
	if (f.pieces != nil || f.edited != nil) && name != "changes" {
		return nil, breaks("disorder", "%s came between two pieces of one change", name)
	}
	if !slices.Contains(allowed[f.phase], name) {
		return nil, breaks("disorder", "%s is not allowed while the stream is %s", name, f.phase)
	}
	if f.phase == live {
		if err := f.checkLine(r, name); err != nil {
			return nil, err
		}
	}
	switch event := r.GetEvent().(type) {
	case *tesseractv1.WatchSessionResponse_Begin:
		told, err = f.begin(r)
	case *tesseractv1.WatchSessionResponse_SnapshotRows:
		err = f.snapshotRows(r)
	case *tesseractv1.WatchSessionResponse_SnapshotEnd:
		told, err = f.snapshotEnd(r)
	case *tesseractv1.WatchSessionResponse_Reset_:
		told = f.reset(event.Reset_)
	case *tesseractv1.WatchSessionResponse_Changes:
		told, err = f.changes(r)
	case *tesseractv1.WatchSessionResponse_SessionChanged:
		err = f.sessionChanged(r)
	case *tesseractv1.WatchSessionResponse_Progress:
		told = progress{r.GetToVersion(), event.Progress.GetDigest()}
	case *tesseractv1.WatchSessionResponse_Lagged:
		f.skipped += event.Lagged.GetSkippedCommits()
		told = &Lagged{r.GetToVersion(), event.Lagged.GetSkippedCommits()}
	}
	if err == nil && f.phase == live && f.pieces == nil && f.edited == nil {
		f.version, f.at.schema = r.GetToVersion(), f.schema
		f.at.move(r.GetToVersion(), r.GetResumeToken())
	}
	return told, err
}

func (f *feed) checkLine(r *response, name string) error {
	from, to := r.GetFromVersion(), r.GetToVersion()
	switch {
	case from != f.version:
		return breaks("gap", "%s begins at version %d and not at %d", name, from, f.version)
	case to < from:
		return breaks("disorder", "%s goes back to version %d", name, to)
	case (f.pieces != nil || f.edited != nil) && to != f.piecesVersion:
		return breaks("disorder", "a piece of a change is of version %d and not %d", to, f.piecesVersion)
	}
	return nil
}

func (f *feed) begin(r *response) (any, error) {
	begin := r.GetBegin()
	f.schema = newSchema(begin.GetColumns())
	if len(f.schema.Key) == 0 {
		return nil, malformed("no column is marked as key")
	}
	if begin.GetProgressIntervalMs() > 0 {
		f.interval = time.Duration(begin.GetProgressIntervalMs()) * time.Millisecond
	}
	if begin.GetResumed() {
		if err := f.checkResumed(r); err != nil {
			return nil, err
		}
	}
	f.at.epoch, f.at.began, f.at.watchID = begin.GetEpoch(), true, begin.GetWatchId()
	if begin.GetResumed() {
		f.phase = live
		return &Resumed{r.GetToVersion()}, nil
	}
	f.phase, f.snapshot, f.snapshotBegan = loading, nil, false
	return nil, nil
}

// checkResumed demands that a resumed stream goes on from the very rows that the reader has.
func (f *feed) checkResumed(r *response) error {
	switch {
	case !f.resuming:
		return breaks("disorder", "the server resumed a stream that gave no token")
	case r.GetBegin().GetEpoch() != f.at.epoch || r.GetToVersion() != f.at.version:
		return breaks("disorder", "the server resumed at version %d and not at %d", r.GetToVersion(), f.at.version)
	case !f.schema.same(f.at.schema):
		return breaks("disorder", "the server resumed with other columns")
	}
	return nil
}

func (f *feed) snapshotRows(r *response) error {
	if err := f.sameSnapshot(r); err != nil {
		return err
	}
	piece := r.GetSnapshotRows()
	if piece.GetStartIndex() != uint64(len(f.snapshot)) {
		return breaks("gap", "a piece of the snapshot starts at %d and not %d", piece.GetStartIndex(), len(f.snapshot))
	}
	rows, err := decode(piece.GetRows(), f.schema)
	if err != nil {
		return malformed("snapshot_rows cannot be read: %v", err)
	}
	if len(rows) > 0 && rows[0].schema != f.schema {
		return malformed("rows of a snapshot lack columns")
	}
	f.snapshot = append(f.snapshot, rows...)
	return nil
}

func (f *feed) snapshotEnd(r *response) (any, error) {
	if err := f.sameSnapshot(r); err != nil {
		return nil, err
	}
	end, rows := r.GetSnapshotEnd(), f.snapshot
	if end.GetRowCount() != uint64(len(rows)) {
		return nil, breaks("gap", "the snapshot has %d rows and should have %d", len(rows), end.GetRowCount())
	}
	f.phase, f.snapshot = live, nil
	return &Change{
		Snapshot: true, Reason: f.reason, Version: r.GetToVersion(), TotalCount: end.GetTotalCount(),
		Schema: f.schema, Rows: rows,
	}, nil
}

func (f *feed) sameSnapshot(r *response) error {
	if !f.snapshotBegan {
		f.snapshotBegan, f.snapshotVersion = true, r.GetToVersion()
	}
	if r.GetToVersion() != f.snapshotVersion {
		return breaks("disorder", "a piece of the snapshot is of version %d and not %d", r.GetToVersion(), f.snapshotVersion)
	}
	return nil
}

// changes takes a piece of a change; the last makes one of all.
func (f *feed) changes(r *response) (any, error) {
	f.pieces, f.piecesVersion = append(f.pieces, r.GetChanges()), r.GetToVersion()
	if r.GetContinued() {
		return nil, nil
	}
	change, err := newChange(f.pieces, f.schema)
	if err != nil {
		return nil, err
	}
	change.FromVersion, change.Version, change.Skipped = r.GetFromVersion(), r.GetToVersion(), f.skipped
	if f.edited != nil {
		change.Edited, change.Generation, change.fresh = true, f.edited.Generation, f.edited.fresh
	}
	f.pieces, f.skipped, f.edited = nil, 0, nil
	return change, nil
}

func (f *feed) reset(reset *tesseractv1.Reset) *Interrupted {
	f.reason = word(reset.GetReason().String(), "RESET_REASON_")
	f.phase, f.resuming = opening, false
	f.at.forget()
	return &Interrupted{f.reason, reset.GetMessage(), f.at.version, false}
}

// sessionChanged takes other columns; the change that follows is told with them.
func (f *feed) sessionChanged(r *response) error {
	if !r.GetContinued() {
		return breaks("disorder", "the session was edited and no change follows")
	}
	before, after := f.schema, newSchema(r.GetSessionChanged().GetColumns())
	renamed := len(before.Key) != len(after.Key)
	for _, name := range after.Key {
		renamed = renamed || !slices.Contains(before.Key, name) || !before.has(after.Columns[after.Index(name)])
	}
	if renamed {
		return breaks("definition_changed", "the session was edited and its rows are named by other columns")
	}
	f.edited = &Change{Generation: r.GetSessionChanged().GetGeneration()}
	for _, column := range after.Columns {
		if !before.has(column) {
			f.edited.fresh = append(f.edited.fresh, column.GetName())
		}
	}
	f.schema, f.piecesVersion = after, r.GetToVersion()
	return nil
}
