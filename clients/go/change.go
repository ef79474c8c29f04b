package tesseract

import (
	"strings"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Change is what a mirror was told at one consistent point. Applied to the rows of FromVersion it makes those of Version:
// take Removed out; write Updated; take the rows of Moved out of their places, keeping their values; put Moved and Inserted
// in, by rising position. A snapshot is complete in itself.
type Change struct {
	// Snapshot says that Rows take the place of all rows.
	Snapshot bool
	// Reason is why there is a snapshot: "first", or that of the [Interrupted] before it.
	Reason string
	// FromVersion is the version before; of a snapshot 0.
	FromVersion uint64
	// Version is the version after.
	Version uint64
	// TotalCount is the number of rows of the whole result, of which the window is a part.
	TotalCount uint64
	// Schema is the columns of the rows after the change.
	Schema *Schema
	// Rows are all rows of a snapshot, in order.
	Rows []Row
	// Removed are the rows that left.
	Removed []Removed
	// Updated are the rows that stayed and have other values: their key and the columns that changed.
	Updated []Row
	// Moved are the rows that stayed and have another place: their key, and where they are now.
	Moved []Placed
	// Inserted are the rows that came, complete.
	Inserted []Placed
	// Skipped is how many commits this change holds of those that the server did not tell one by one (see [Lagged]).
	Skipped uint64
	// Edited is set when the session was edited: the rows have the columns of Schema from here on.
	Edited bool
	// Generation is, of an edit, the number of edits of the session; it starts at 1.
	Generation uint64
	fresh      []string // of an edit: the columns that every row that stays must be told anew
}

// Removed is a row that left.
type Removed struct {
	// Reason is "deleted", "filtered", "window", "expired" or "permission"; of a later version, "unknown".
	Reason string
	// Key is the row's key columns.
	Key Row
}

// Placed is a row and its place in the window, counted from 0, after the change.
type Placed struct {
	Index uint32
	Row   Row
}

// Interrupted says that a stream was lost or is not believed any more. The mirror keeps its rows and watches again.
type Interrupted struct {
	// Reason is one word: "reconnected", "ended", "silence", "gap", "disorder", "malformed", "unknown_event", "digest",
	// "token_refused", or that of a server's Reset: "too_old", "other_epoch", "definition_changed", "lagged", "table_changed",
	// "unknown".
	Reason string
	// Message is the same for people.
	Message string
	// Version is that of the rows.
	Version uint64
	// Resumes says whether the next stream is asked to go on from there; otherwise it begins with a snapshot.
	Resumes bool
}

// Resumed says that the server goes on from the rows that the mirror has.
type Resumed struct {
	Version uint64
}

// Lagged says that this reader was slow, so that the next change holds several commits.
type Lagged struct {
	Version        uint64
	SkippedCommits uint64
}

// progress is the news that nothing happened up to a version.
type progress struct {
	version uint64
	digest  []byte
}

// newChange joins the pieces of one change.
func newChange(pieces []*tesseractv1.Changes, schema *Schema) (*Change, error) {
	change := &Change{Schema: schema, TotalCount: pieces[len(pieces)-1].GetTotalCount()}
	for _, piece := range pieces {
		for _, removes := range piece.GetRemoves() {
			keys, err := keyed(removes.GetKeys(), schema)
			if err != nil {
				return nil, err
			}
			reason := word(removes.GetReason().String(), "REMOVE_REASON_")
			for _, key := range keys {
				change.Removed = append(change.Removed, Removed{reason, key})
			}
		}
		for _, updates := range piece.GetUpdates() {
			rows, err := keyed(updates.GetRows(), schema)
			if err != nil {
				return nil, err
			}
			change.Updated = append(change.Updated, rows...)
		}
		moved, err := placed(piece.GetMoves().GetKeys(), piece.GetMoves().GetIndexes(), schema)
		if err != nil {
			return nil, err
		}
		inserted, err := placed(piece.GetInserts().GetRows(), piece.GetInserts().GetIndexes(), schema)
		if err != nil {
			return nil, err
		}
		if len(inserted) > 0 && inserted[0].Row.schema != schema {
			return nil, malformed("rows that come lack columns")
		}
		change.Moved, change.Inserted = append(change.Moved, moved...), append(change.Inserted, inserted...)
	}
	return change, nil
}

// keyed reads rows that name themselves.
func keyed(batch *tesseractv1.RowBatch, schema *Schema) ([]Row, error) {
	rows, err := decode(batch, schema)
	if err != nil {
		return nil, malformed("%v", err)
	}
	if len(rows) > 0 && len(rows[0].schema.Key) != len(schema.Key) {
		return nil, malformed("rows without their key columns")
	}
	return rows, nil
}

func placed(batch *tesseractv1.RowBatch, indexes []uint32, schema *Schema) ([]Placed, error) {
	rows, err := keyed(batch, schema)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 && len(rows) != len(indexes) {
		return nil, malformed("%d rows are placed at %d positions", len(rows), len(indexes))
	}
	found := make([]Placed, len(rows))
	for at, row := range rows {
		found[at] = Placed{indexes[at], row}
	}
	return found, nil
}

// word is the name of an enum's value as people say it: REMOVE_REASON_FILTERED is "filtered", and a value of a later
// version "unknown".
func word(name, prefix string) string {
	if found, known := strings.CutPrefix(name, prefix); known {
		return strings.ToLower(found)
	}
	return "unknown"
}
