package tesseract

import (
	"context"
	"sync"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Session is a handle of a live query.
type Session struct {
	hub     *Hub
	mu      sync.Mutex
	session *tesseractv1.Session // replaced, never edited
}

func (s *Session) present() *tesseractv1.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

func (s *Session) replace(session *tesseractv1.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
}

// CreateSession creates a session: a live query. Without an id the server chooses one, and the session ends some time after
// its last watcher; a mirror makes it again when that happens while it cannot watch. A session of this id with the same
// query is found.
func (h *Hub) CreateSession(ctx context.Context, id string, query *Query) (*Session, error) {
	response, err := h.sessions.CreateSession(ctx, &tesseractv1.CreateSessionRequest{
		Parent: h.name(), SessionId: id, Session: &tesseractv1.Session{Query: query}, RequestId: newRequestID(),
	})
	if err != nil {
		return nil, err
	}
	return &Session{hub: h, session: response.GetSession()}, nil
}

// Session finds a session.
func (h *Hub) Session(ctx context.Context, id string) (*Session, error) {
	response, err := h.sessions.GetSession(ctx, &tesseractv1.GetSessionRequest{Name: h.resource("sessions", id)})
	if err != nil {
		return nil, err
	}
	return &Session{hub: h, session: response.GetSession()}, nil
}

// ID is the id of the session; of one without, the id that the server chose.
func (s *Session) ID() string { return idOf(s.present().GetName()) }

// Schema is the columns of its rows, when it was created, found or last edited by this handle.
func (s *Session) Schema() *Schema { return newSchema(s.present().GetColumns()) }

// Query reads the present rows. All are of one version.
func (s *Session) Query(ctx context.Context, options ReadOptions) (*Result, error) {
	return read(ctx, s.hub, s.hub.sessions.QuerySessionStream, &tesseractv1.QuerySessionStreamRequest{
		Name: s.present().GetName(), Window: options.Window, MinVersion: options.MinVersion,
	})
}

// Update edits the session in place: everybody who watches it is told the difference. Paths say which parts of the query
// take the place of the present ones, for example "filter", "sort" or "columns"; without any, the whole query does. It
// returns the version at which the edit takes effect.
func (s *Session) Update(ctx context.Context, query *Query, paths ...string) (uint64, error) {
	mask := &fieldmaskpb.FieldMask{}
	for _, path := range paths {
		mask.Paths = append(mask.Paths, "query."+path)
	}
	if len(paths) == 0 {
		mask.Paths = []string{"query"}
	}
	response, err := s.hub.sessions.UpdateSession(ctx, &tesseractv1.UpdateSessionRequest{
		Session:    &tesseractv1.Session{Name: s.present().GetName(), Query: query},
		UpdateMask: mask, RequestId: newRequestID(),
	})
	if err != nil {
		return 0, err
	}
	s.replace(response.GetSession())
	return response.GetVersion(), nil
}

// Delete deletes the session; everybody who watches it is told so.
func (s *Session) Delete(ctx context.Context) error {
	return s.hub.DeleteSession(ctx, s.present().GetName())
}

// DeleteSession deletes a session; everybody who watches it is told so. One that is not there is no error.
func (h *Hub) DeleteSession(ctx context.Context, id string) error {
	request := &tesseractv1.DeleteSessionRequest{Name: h.resource("sessions", id), AllowMissing: true}
	_, err := h.sessions.DeleteSession(ctx, request)
	return err
}

// revive makes an anonymous session again that the server has let go while nobody could watch it. True also where that is
// to be tried once more.
func (s *Session) revive(ctx context.Context, lost *Error) bool {
	before := s.present()
	if !before.GetAnonymous() || lost.Reason != "UNKNOWN_SESSION" {
		return false
	}
	definition := &tesseractv1.Session{
		Query: before.GetQuery(), Description: before.GetDescription(),
		PermanentFilter: before.GetPermanentFilter(), IdleTimeout: before.GetIdleTimeout(),
	}
	response, err := s.hub.sessions.CreateSession(ctx, &tesseractv1.CreateSessionRequest{
		Parent: s.hub.name(), Session: definition, RequestId: newRequestID(),
	})
	if failure, ok := err.(*Error); ok {
		return failure.passes()
	}
	s.replace(response.GetSession())
	return true
}
