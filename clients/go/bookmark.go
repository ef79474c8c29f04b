package tesseract

import (
	"bytes"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Bookmark is the rows of a mirror at one version and the token that leads on from there. It can be kept in a file, as
// MarshalBinary writes it, and given to [MirrorOptions] later, in another process too: for as long as the server keeps that
// history, only what changed meanwhile is sent.
type Bookmark struct {
	Epoch   string
	Version uint64
	// Token is empty when the server gave none for this version: a mirror then begins with a snapshot.
	Token      []byte
	TotalCount uint64
	Schema     *Schema
	Rows       []Row
}

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

// MarshalBinary writes the bookmark as what a server would have said: Begin, SnapshotRows, SnapshotEnd.
func (b *Bookmark) MarshalBinary() ([]byte, error) {
	batch := &tesseractv1.RowBatch{RowCount: uint32(len(b.Rows))}
	for at, column := range b.Schema.Columns {
		cells := make([]any, len(b.Rows))
		for row := range b.Rows {
			cells[row] = b.Rows[row].values[at]
		}
		batch.Columns = append(batch.Columns, encodeColumn(column.GetName(), column.GetType(), cells))
	}
	begin := &tesseractv1.Begin{Epoch: b.Epoch, Columns: b.Schema.Columns}
	end := &tesseractv1.SnapshotEnd{RowCount: uint64(len(b.Rows)), TotalCount: b.TotalCount}
	var written bytes.Buffer
	for _, said := range []*response{
		{ToVersion: b.Version, Event: &tesseractv1.WatchSessionResponse_Begin{Begin: begin}},
		{ToVersion: b.Version, Event: &tesseractv1.WatchSessionResponse_SnapshotRows{
			SnapshotRows: &tesseractv1.SnapshotRows{Rows: batch},
		}},
		{ToVersion: b.Version, ResumeToken: b.Token, Event: &tesseractv1.WatchSessionResponse_SnapshotEnd{SnapshotEnd: end}},
	} {
		if _, err := protodelim.MarshalTo(&written, said); err != nil {
			return nil, err
		}
	}
	return written.Bytes(), nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (b *Bookmark) UnmarshalBinary(data []byte) error {
	at := &point{}
	feed, read := newFeed(at, ""), bytes.NewReader(data)
	for {
		said := &response{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(read, said)
		if err == io.EOF {
			return invalid("MALFORMED_REQUEST", "resume", "the bookmark is not whole")
		}
		if err != nil {
			return invalid("MALFORMED_REQUEST", "resume", "not a bookmark: "+err.Error())
		}
		event, err := feed.receive(said)
		if err != nil {
			return invalid("MALFORMED_REQUEST", "resume", "not a bookmark: "+err.Error())
		}
		if rows, ok := event.(*Change); ok {
			*b = Bookmark{at.epoch, rows.Version, at.resume(), rows.TotalCount, rows.Schema, rows.Rows}
			return nil
		}
	}
}
