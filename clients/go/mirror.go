package tesseract

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// What happens when a reader falls behind, and how commits are told. The zero values are Conflate and Net.
const (
	// Conflate merges what is pending into the net change.
	Conflate = tesseractv1.OnLag_ON_LAG_CONFLATE
	// Reset sends the rows anew.
	Reset = tesseractv1.OnLag_ON_LAG_RESET
	// Cancel ends the mirror with RESOURCE_EXHAUSTED and SLOW_READER.
	Cancel = tesseractv1.OnLag_ON_LAG_CANCEL
	// Net tells everything that is pending as one change.
	Net = tesseractv1.Delivery_DELIVERY_NET
	// EveryCommit tells each commit as a change of its own.
	EveryCommit = tesseractv1.Delivery_DELIVERY_EVERY_COMMIT
)

// MirrorOptions say what is mirrored, and who is told. Handlers are called one after the other from the goroutine of the
// mirror, which reads on when they return: one that takes long makes the server merge what happens meanwhile. A handler may
// read the mirror and end its context; it must not call Close, which waits for it.
type MirrorOptions struct {
	// Window is the part of the result. Default: all of it.
	Window *Window
	// Resume is where to go on: what [Mirror.Bookmark] gave for the same session and window. The mirror has its rows at
	// once, and is stale until the server has told what was missed, or a new snapshot where it cannot.
	Resume *Bookmark
	// Verify compares every Progress of the server with a digest of the rows. O(window) each.
	Verify bool
	// MinInterval is the shortest time between two changes; commits in between are merged.
	MinInterval time.Duration
	// OnLag is what happens when this reader falls behind.
	OnLag tesseractv1.OnLag
	// Delivery is how commits are told.
	Delivery tesseractv1.Delivery

	// OnChange is told of every consistent point with changes; the mirror has them already.
	OnChange func(*Change)
	// OnState is told when the state is another one.
	OnState func(State)
	// OnInterrupted is told when a stream was lost.
	OnInterrupted func(Interrupted)
	// OnResumed is told when the server goes on from the rows that are there.
	OnResumed func(Resumed)
	// OnLagged is told when this reader was slow.
	OnLagged func(Lagged)

	logger *slog.Logger
}

// Mirror is the rows of a window of a session, kept current in the background. It changes only at consistent points, so
// whoever reads it sees the result as it was at one version. While the connection is broken it keeps its rows and says that
// it is stale; it heals by itself. It may be used by many goroutines.
type Mirror struct {
	hub     *Hub
	session *Session
	options MirrorOptions
	request *tesseractv1.WatchSessionRequest // of the present stream
	cancel  context.CancelFunc
	done    chan struct{}

	mu          sync.Mutex // of what is below
	replica     replica
	token       []byte // leads on from exactly the rows of the replica
	state       State
	watchID     string
	err         error
	lastFailure string
	changed     chan struct{} // closed and replaced when something above is another
}

// Mirror begins to follow the session, until ctx ends or the mirror is closed. It does not wait: see [Mirror.Ready].
func (s *Session) Mirror(ctx context.Context, options MirrorOptions) (*Mirror, error) {
	options.logger = s.hub.options.Logger
	m := &Mirror{
		hub: s.hub, session: s, options: options, state: Connecting, done: make(chan struct{}), changed: make(chan struct{}),
		request: &tesseractv1.WatchSessionRequest{
			Window: options.Window, OnLag: options.OnLag, Delivery: options.Delivery, IncludeDigest: options.Verify,
		},
	}
	if options.MinInterval > 0 {
		m.request.MinInterval = durationpb.New(options.MinInterval)
	}
	w := &watch{mirror: m, reason: "first", lostSince: time.Now(), pauses: pauses{retry: s.hub.options.Retry}}
	if saved := options.Resume; saved != nil {
		change := &Change{
			Snapshot: true, Version: saved.Version, TotalCount: saved.TotalCount, Schema: saved.Schema, Rows: saved.Rows,
		}
		if err := m.replica.apply(change, saved.Epoch); err != nil {
			return nil, invalid("MALFORMED_REQUEST", "resume", err.Error())
		}
		w.at = point{epoch: saved.Epoch, schema: saved.Schema, version: saved.Version}
		w.at.move(saved.Version, saved.Token)
		m.state, m.token = Stale, saved.Token
	}
	m.request = proto.CloneOf(m.request) // the window is the caller's
	if err := s.hub.enter(); err != nil {
		return nil, err
	}
	ctx, m.cancel = context.WithCancel(ctx)
	release := context.AfterFunc(s.hub.ctx, m.cancel)
	go func() {
		defer s.hub.mirrors.Done()
		defer close(m.done)
		defer release()
		defer m.cancel()
		w.run(ctx)
	}()
	return m, nil
}

// Ready waits until there are rows to show: the first snapshot, or those of a bookmark.
func (m *Mirror) Ready(ctx context.Context) error {
	return m.wait(ctx, "the first snapshot", func() bool { return m.replica.loaded })
}

// WaitFor waits until the rows are exact up to a version, for example that of a write. Where that commit does not touch
// the rows, the server is asked to say so at once instead of with its next Progress.
func (m *Mirror) WaitFor(ctx context.Context, version uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := ""
	return m.wait(ctx, fmt.Sprintf("version %d", version), func() bool {
		if m.replica.version >= version && m.replica.loaded {
			return true
		}
		if m.state == Live && m.watchID != asked { // of another stream it has to be asked for anew
			asked = m.watchID
			go m.hub.hubs.RequestProgress(ctx, &tesseractv1.RequestProgressRequest{
				Parent: m.hub.name(), WatchId: asked, MinVersion: version,
			}) // its failure is nobody's: it makes no difference but that of time
		}
		return false
	})
}

// wait waits until done, which is asked under the lock whenever something is another.
func (m *Mirror) wait(ctx context.Context, what string, done func() bool) error {
	for {
		m.mu.Lock()
		over, ended, err, changed := done(), m.state == Ended, m.err, m.changed
		state, why := m.state, m.lastFailure
		m.mu.Unlock()
		switch {
		case over:
			return nil
		case err != nil:
			return err
		case ended:
			return closedError("the mirror, before " + what + " came,")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			message := fmt.Sprintf("%s did not come in time; the mirror is %s (%s)", what, state, why)
			return &Error{Code: codes.DeadlineExceeded, Message: message, cause: ctx.Err()}
		}
	}
}

// Rows are the rows of the window, in order. O(window).
func (m *Mirror) Rows() []Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replica.rows()
}

// Versions yields the version of the rows whenever they are others than in the round before, until ctx or the mirror ends.
// What happens while the body of the loop runs is told as one: for drawing, not for counting. Begins with the present rows.
func (m *Mirror) Versions(ctx context.Context) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		told, seen := false, uint64(0)
		for {
			var round, version uint64
			err := m.wait(ctx, "a change", func() bool {
				round, version = m.replica.changes, m.replica.version
				return m.replica.loaded && (!told || round != seen)
			})
			if err != nil || !yield(version) {
				return
			}
			told, seen = true, round
		}
	}
}

// Len is the number of rows in the window.
func (m *Mirror) Len() int { return locked(m, func() int { return len(m.replica.order) }) }

// Schema is the columns of the rows; nil before there are any.
func (m *Mirror) Schema() *Schema { return locked(m, func() *Schema { return m.replica.schema }) }

// Version is the version up to which the rows are exact.
func (m *Mirror) Version() uint64 { return locked(m, func() uint64 { return m.replica.version }) }

// Epoch is the identity of the line of versions. Versions of different epochs do not compare.
func (m *Mirror) Epoch() string { return locked(m, func() string { return m.replica.epoch }) }

// TotalCount is the number of rows of the whole result, of which the window is a part.
func (m *Mirror) TotalCount() uint64 { return locked(m, func() uint64 { return m.replica.totalCount }) }

// State is what may be believed of the rows.
func (m *Mirror) State() State { return locked(m, func() State { return m.state }) }

// Err is why the mirror ended, when it was not closed on this side; an *Error.
func (m *Mirror) Err() error { return locked(m, func() error { return m.err }) }

// Close ends the mirror and waits for it; the rows stay readable. It waits for a handler that runs, so do not call it from one.
func (m *Mirror) Close() {
	m.cancel()
	<-m.done
}

func locked[T any](m *Mirror, what func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return what()
}

// --- what the watch says

// apply takes a change or a progress; it fails when that cannot be right, and leaves the rows as they were.
func (m *Mirror) apply(event any, at *point) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch event := event.(type) {
	case *Change:
		if err := m.replica.apply(event, at.epoch); err != nil {
			return err
		}
	case progress:
		if m.options.Verify && len(event.digest) > 0 {
			if own := digestOf(m.replica.schema, m.replica.rows()); string(own[:]) != string(event.digest) {
				return breaks("digest", "the rows at version %d are not those of the server", event.version)
			}
		}
		m.replica.version = event.version
	}
	m.token = at.resume()
	m.notify()
	return nil
}

// current says that a stream has reached the rows.
func (m *Mirror) current(watchID string) {
	m.mu.Lock()
	m.watchID = watchID
	m.mu.Unlock()
	m.turn(Live, nil)
}

// turn goes to another state. Nothing leads away from Ended, and nothing but rows away from Connecting.
func (m *Mirror) turn(state State, err error) {
	m.mu.Lock()
	before := m.state
	if before == Connecting && state == Stale {
		state = Connecting
	}
	m.state, m.err = state, err
	m.notify()
	m.mu.Unlock()
	if state != before {
		call(m.options.OnState, state)
	}
}

// failure says why there is no stream, and where to go on from the rows; nowhere, where they are in doubt.
func (m *Mirror) failure(message string, token []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastFailure, m.token = message, token
}

// notify wakes whoever waits. The lock is held.
func (m *Mirror) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}
