package tesseract

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

// A watch: the events of a session, over as many streams as it takes. A stream that ends, errs, goes silent or breaks the
// contract is replaced by a new one after a random pause. The new one is given the resume token of the last consistent
// point and goes on there; without a valid token it begins with a fresh snapshot, whose Reason says why. Only errors that
// another attempt cannot mend end it.

// State is what a reader may believe of the rows of a mirror.
//
//	connecting --current--> live --lost--> stale --current--> live
//	any --ended--> ended
//
// Current is a consistent point: the rows are the answer as of the last message. Lost is everything after which that is no
// longer known. Ended is Close, the end of the context, or an error that another attempt cannot mend; it is final.
type State string

// The states of a mirror.
const (
	Connecting State = "connecting" // there is nothing to show yet
	Live       State = "live"       // the rows are the answer as of the last message
	Stale      State = "stale"      // the rows are those of an earlier version; they are kept until newer ones stand
	Ended      State = "ended"      // no more will come
)

// missedIntervals without a message mean that a stream is stale.
const missedIntervals = 3

// watch is what the goroutine of a mirror knows; nobody else touches it.
type watch struct {
	mirror       *Mirror
	at           point
	reason       string // why the next snapshot comes
	gapAt        *uint64
	failedBefore bool // whether it has been told that there is no stream
	currentSince time.Time
	lostSince    time.Time
	pauses       pauses
	feed         *feed
	number       int // of the connection of the present stream
}

// run reads until the mirror ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.stream(ctx)
		if ctx.Err() != nil {
			break
		}
		if final := w.failed(ctx, err); final != nil {
			w.mirror.options.logger.Warn("a mirror ends", "session", w.mirror.session.ID(), "error", final)
			w.mirror.turn(Ended, final)
			return
		}
	}
	w.mirror.turn(Ended, nil)
}

// stream reads one stream until it cannot be read on, which is always an error.
func (w *watch) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.feed = newFeed(&w.at, w.reason)
	request := w.mirror.request
	request.Name, request.ResumeToken = w.mirror.session.present().GetName(), w.at.resume()
	_, w.number, _ = w.mirror.hub.open()

	// The time runs only while this waits for the server: a reader who does not read is not a server that does not write.
	var silent atomic.Bool
	watchdog := time.AfterFunc(w.patience(), func() {
		silent.Store(true)
		cancel()
	})
	defer watchdog.Stop()
	call, err := w.mirror.hub.sessions.WatchSession(ctx, request)
	for err == nil {
		var next *response
		next, err = call.Recv()
		watchdog.Stop()
		if err == nil {
			err = w.take(next)
			watchdog.Reset(w.patience())
		}
	}
	var known *broken
	switch {
	case errors.As(err, &known):
		return err
	case silent.Load():
		return breaks("silence", "no message for too long")
	case err == io.EOF:
		return breaks("ended", "the server ended the stream")
	}
	return err
}

// patience is how long to wait for the next message. The first may take as long as any other answer.
func (w *watch) patience() time.Duration {
	if w.feed.phase == opening {
		return w.mirror.hub.options.Timeout
	}
	return w.feed.interval * missedIntervals
}

// take takes one response: first the rows, then the state, then whoever listens.
func (w *watch) take(next *response) error {
	exact := w.at.version
	event, err := w.feed.receive(next)
	if err != nil {
		return err
	}
	m := w.mirror
	switch event := event.(type) {
	case *Interrupted:
		w.interrupted(event)
	case *Resumed:
		call(m.options.OnResumed, *event)
	case *Lagged:
		call(m.options.OnLagged, *event)
	case *Change, progress:
		if err := m.apply(event, &w.at); err != nil {
			w.at.version = exact // the rows are those of before
			return err
		}
	}
	if w.feed.phase == live && m.State() != Live {
		w.failedBefore, w.currentSince = false, time.Now()
		m.current(w.at.watchID)
	}
	if change, ok := event.(*Change); ok {
		call(m.options.OnChange, change)
	}
	return nil
}

// failed gives a stream up and waits until it is time for the next; it returns what cannot be mended.
func (w *watch) failed(ctx context.Context, err error) error {
	var known *Error
	if errors.As(err, &known) {
		switch {
		case w.feed.resuming && (known.Reason == "BAD_RESUME_TOKEN" || known.Reason == "FEATURE_NOT_AVAILABLE"):
			w.at.forget()
			w.lost(&broken{"token_refused", known.Message})
			return nil // at once, and this time without a token
		case w.final(known) && !w.revived(ctx, known):
			return known
		}
	}
	cause, isBroken := err.(*broken)
	if !isBroken {
		cause = &broken{"reconnected", err.Error()}
	}
	w.judge(cause)
	if w.feed.phase == opening && w.failedBefore { // the server is still away, which has been told
		w.mirror.failure(cause.message, w.at.resume())
	} else {
		w.lost(cause)
	}
	w.failedBefore = true
	if cause.reason == "silence" {
		w.mirror.hub.renew(w.number)
	}
	return w.pause(ctx, known, cause)
}

// final says whether another attempt is of no use. A limit may be one that only this request exceeds, as long as no attempt
// has succeeded; later it is one that others have reached in the meantime.
func (w *watch) final(err *Error) bool {
	switch err.Code {
	case codes.AlreadyExists, codes.Unimplemented, codes.InvalidArgument, codes.NotFound, codes.OutOfRange,
		codes.PermissionDenied, codes.FailedPrecondition, codes.Unauthenticated:
		return true
	case codes.ResourceExhausted:
		return !w.at.began || err.Reason == "SLOW_READER" && w.mirror.options.OnLag == Cancel
	}
	return false
}

// revived says whether what is watched was lost and could be made again.
func (w *watch) revived(ctx context.Context, err *Error) bool {
	return err.Code == codes.NotFound && w.at.began && w.mirror.session.revive(ctx, err)
}

// judge drops the token where the rows are in doubt, or where resuming did not help against the same gap.
func (w *watch) judge(cause *broken) {
	gap := cause.reason == "gap"
	again := gap && w.gapAt != nil && *w.gapAt == w.at.version
	switch cause.reason {
	case "reconnected", "ended", "silence", "gap":
	default:
		again = true
	}
	if again {
		w.at.forget()
	}
	w.gapAt = nil
	if version := w.at.version; gap && !again {
		w.gapAt = &version
	}
}

// pause waits before the next attempt. What breaks as soon as it is live must not be tried without a pause.
func (w *watch) pause(ctx context.Context, known *Error, cause *broken) error {
	retry, now := w.mirror.hub.options.Retry, time.Now()
	if w.currentSince.After(w.lostSince) {
		if now.Sub(w.currentSince) > retry.MaxBackoff {
			w.pauses.reset()
		}
		w.lostSince = now
	}
	if retry.GiveUpAfter > 0 && now.Sub(w.lostSince) > retry.GiveUpAfter {
		if known == nil {
			known = &Error{Code: codes.Unavailable, Message: "no stream for " + retry.GiveUpAfter.String() + ": " + cause.message}
		}
		return known
	}
	var atLeast *time.Duration
	if known != nil {
		atLeast = known.RetryAfter
	}
	pause := w.pauses.next(atLeast)
	w.mirror.options.logger.Debug("watching again", "session", w.mirror.session.ID(), "in", pause, "after", cause.message)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// lost tells that a stream was lost.
func (w *watch) lost(cause *broken) {
	w.reason = cause.reason
	w.interrupted(&Interrupted{cause.reason, cause.message, w.at.version, len(w.at.resume()) > 0})
}

func (w *watch) interrupted(event *Interrupted) {
	w.mirror.options.logger.Warn("a watch was interrupted", "session", w.mirror.session.ID(), "reason", event.Reason,
		"version", event.Version, "resumes", event.Resumes, "message", event.Message)
	w.mirror.failure(event.Message, w.at.resume())
	w.mirror.turn(Stale, nil)
	call(w.mirror.options.OnInterrupted, *event)
}

func call[T any](handler func(T), event T) {
	if handler != nil {
		handler(event)
	}
}
