package tesseract

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Bookmark is the rows of a mirror at one version and the token that leads on from there. It can be kept in a file, as
// MarshalBinary writes it, and given to [MirrorOptions] later, in another process or to a client in another language: for
// as long as the server keeps that history, only what changed meanwhile is sent.
type Bookmark struct {
	Epoch   string
	Version uint64
	// Token is empty when the server gave none for this version: a mirror then begins with a snapshot.
	Token      []byte
	TotalCount uint64
	Schema     *Schema
	Rows       []Row
}

// pieceRows is the number of rows of one message of a bookmark.
const pieceRows = 10_000

// Bookmark is the rows as they are now, and where to go on from there. It fails before the first snapshot.
func (m *Mirror) Bookmark() (*Bookmark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.replica
	if !r.loaded {
		return nil, invalid("MALFORMED_REQUEST", "", "there is nothing to go on from before the first snapshot")
	}
	return &Bookmark{r.epoch, r.version, m.token, r.totalCount, r.schema, r.rows()}, nil
}

// Digest is the digest of the rows, as docs/GUARANTEES.md defines it.
func (b *Bookmark) Digest() [sha256.Size]byte { return digestOf(b.Schema, b.Rows) }

// MarshalBinary writes the stream that would have led to these rows: Begin, SnapshotRows and SnapshotEnd with the token,
// each a WatchSessionResponse with its length before it.
func (b *Bookmark) MarshalBinary() ([]byte, error) {
	begin := &tesseractv1.Begin{Epoch: b.Epoch}
	for _, column := range b.Schema.Columns {
		begin.Columns = append(begin.Columns, &Column{Name: column.Name, Type: column.Type, PrimaryKey: column.PrimaryKey})
	}
	said := []*response{{Continued: true, Event: &tesseractv1.WatchSessionResponse_Begin{Begin: begin}}}
	for from := 0; from < len(b.Rows); from += pieceRows {
		rows := b.Rows[from:min(from+pieceRows, len(b.Rows))]
		batch := &tesseractv1.RowBatch{RowCount: uint32(len(rows))}
		for at, column := range b.Schema.Columns {
			cells := make([]any, len(rows))
			for row := range rows {
				cells[row] = rows[row].values[at]
			}
			batch.Columns = append(batch.Columns, encodeColumn(column.GetName(), column.GetType(), cells))
		}
		piece := &tesseractv1.SnapshotRows{Rows: batch, StartIndex: uint64(from)}
		said = append(said, &response{
			Continued: true, Event: &tesseractv1.WatchSessionResponse_SnapshotRows{SnapshotRows: piece},
		})
	}
	end := &tesseractv1.SnapshotEnd{RowCount: uint64(len(b.Rows)), TotalCount: b.TotalCount}
	said = append(said, &response{
		ResumeToken: b.Token, Event: &tesseractv1.WatchSessionResponse_SnapshotEnd{SnapshotEnd: end},
	})
	var written bytes.Buffer
	for _, message := range said {
		message.FromVersion, message.ToVersion = b.Version, b.Version
		if _, err := protodelim.MarshalTo(&written, message); err != nil {
			return nil, err
		}
	}
	return written.Bytes(), nil
}

// UnmarshalBinary plays what MarshalBinary wrote to a feed, so that what is in a file is checked as strictly as what comes
// from a server. What is not whole is refused.
func (b *Bookmark) UnmarshalBinary(data []byte) error {
	at, file, found := &point{}, bytes.NewReader(data), (*Change)(nil)
	feed := newFeed(at, "")
	for {
		said := &response{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(file, said)
		switch {
		case err == io.EOF && found != nil:
			*b = Bookmark{at.epoch, found.Version, at.resume(), found.TotalCount, found.Schema, found.Rows}
			return nil
		case err == io.EOF:
			err = errors.New("its snapshot is not whole")
		case err == nil && found != nil:
			err = errors.New("something follows its snapshot")
		case err == nil:
			var event any
			if event, err = feed.receive(said); err == nil {
				found, _ = event.(*Change)
				continue
			}
		}
		return invalid("MALFORMED_REQUEST", "resume", "this is no bookmark of a mirror: "+err.Error())
	}
}
