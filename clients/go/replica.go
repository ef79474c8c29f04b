package tesseract

import (
	"encoding/json"
	"slices"
	"sort"
)

// The rows of a watched window: a pure fold of changes. Every row has an entry, which is found by its key and stands in
// the order of the window. Everything is checked before anything is written, so a change that does not fit is a broken and
// leaves the rows as they were.

type replica struct {
	schema     *Schema
	loaded     bool
	version    uint64
	totalCount uint64
	epoch      string
	key        []string
	order      []*entry
	entries    map[any]*entry
	round      uint64
	changes    uint64 // how many have been taken
}

// entry is a row that is held. The rounds say in which change it was last met, so that nothing has to be cleared.
type entry struct {
	row               Row
	gone, moves, told uint64
}

func (r *replica) rows() []Row {
	found := make([]Row, len(r.order))
	for at, entry := range r.order {
		found[at] = entry.row
	}
	return found
}

// apply takes a change, whole or not at all. O(changed rows), and O(window) where rows leave or move or come in between.
func (r *replica) apply(change *Change, epoch string) error {
	take := r.change
	if change.Snapshot {
		take = r.load
	}
	if err := take(change); err != nil {
		return err
	}
	if change.Snapshot {
		r.epoch = epoch
	}
	r.schema, r.version, r.totalCount = change.Schema, change.Version, change.TotalCount
	r.changes++
	return nil
}

func (r *replica) load(change *Change) error {
	order, entries := make([]*entry, len(change.Rows)), make(map[any]*entry, len(change.Rows))
	made := make([]entry, len(change.Rows))
	for at, row := range change.Rows {
		order[at] = &made[at]
		order[at].row = row
		entries[keyOf(row, change.Schema.Key)] = order[at]
	}
	if len(entries) != len(order) {
		return malformed("a key stands twice in one snapshot")
	}
	r.order, r.entries, r.key, r.loaded = order, entries, change.Schema.Key, true
	return nil
}

func (r *replica) change(change *Change) error {
	if !r.loaded {
		return breaks("disorder", "a change came before the snapshot")
	}
	r.round++
	leaving, err := r.leave(change)
	if err != nil {
		return err
	}
	updated := make([]*entry, len(change.Updated))
	for at, row := range change.Updated {
		if updated[at] = r.entries[keyOf(row, r.key)]; updated[at] == nil {
			return malformed("a change updates a row that is not in the window")
		}
		if updated[at].gone == r.round {
			return malformed("a row leaves and is updated in one change")
		}
	}
	places, err := r.places(change)
	if err != nil {
		return err
	}
	sort.SliceStable(places, func(a, b int) bool { return places[a].index < places[b].index })
	length := len(r.order) - leaving + len(places)
	for at, place := range places {
		if int(place.index) >= length || at > 0 && places[at-1].index == place.index {
			return malformed("two rows at position %d, or that is beyond the window of %d rows", place.index, length)
		}
	}
	if err := r.checkEdit(change, updated); err != nil {
		return err
	}

	for _, removed := range change.Removed {
		key := keyOf(removed.Key, r.key)
		r.entries[key].row = Row{} // entries of a snapshot are kept together, rows need not be
		delete(r.entries, key)
	}
	if leaving > 0 {
		r.order = slices.DeleteFunc(r.order, func(e *entry) bool { return e.gone == r.round || e.moves == r.round })
	}
	if change.Edited {
		r.reshape(change.Schema)
	}
	write(change.Schema, updated, change.Updated)
	for _, placed := range change.Inserted {
		r.entries[keyOf(placed.Row, r.key)] = places.of(placed.Index)
	}
	r.order = scatter(r.order, places)
	return nil
}

// leave marks the rows that leave the order, for good or for another place, and counts them.
func (r *replica) leave(change *Change) (int, error) {
	for _, removed := range change.Removed {
		found := r.entries[keyOf(removed.Key, r.key)]
		if found == nil || found.gone == r.round {
			return 0, malformed("a change removes a row that is not in the window")
		}
		found.gone = r.round
	}
	for _, moved := range change.Moved {
		found := r.entries[keyOf(moved.Row, r.key)]
		if found == nil || found.gone == r.round || found.moves == r.round {
			return 0, malformed("a change moves a row that is not in the window, or twice")
		}
		found.moves = r.round
	}
	return len(change.Removed) + len(change.Moved), nil
}

type place struct {
	index uint32
	entry *entry
}

type places []place

// of is the entry at a position; the places are in order.
func (p places) of(index uint32) *entry {
	at, _ := slices.BinarySearchFunc(p, index, func(place place, index uint32) int { return int(place.index) - int(index) })
	return p[at].entry
}

// places are the positions that rows are given, those of rows that come with entries of their own.
func (r *replica) places(change *Change) (places, error) {
	found := make(places, 0, len(change.Moved)+len(change.Inserted))
	for _, moved := range change.Moved {
		found = append(found, place{moved.Index, r.entries[keyOf(moved.Row, r.key)]})
	}
	comes := make(map[any]bool, len(change.Inserted))
	for _, inserted := range change.Inserted {
		key := keyOf(inserted.Row, r.key)
		if comes[key] || r.entries[key] != nil {
			return nil, malformed("a row comes that is there already, or twice")
		}
		comes[key] = true
		found = append(found, place{inserted.Index, &entry{row: inserted.Row}})
	}
	return found, nil
}

// checkEdit demands of a change with other columns that it has the new ones for every row that stays.
func (r *replica) checkEdit(change *Change, updated []*entry) error {
	if len(change.fresh) == 0 {
		return nil
	}
	whole, count := map[*Schema]bool{}, len(change.Removed)
	for at, row := range change.Updated {
		has, known := whole[row.schema]
		if !known {
			has = !slices.ContainsFunc(change.fresh, func(name string) bool { return row.schema.Index(name) < 0 })
			whole[row.schema] = has
		}
		if has && updated[at].told != r.round {
			updated[at].told = r.round
			count++
		}
	}
	if count != len(r.entries) {
		return malformed("after an edit, a row that stays lacks a new column")
	}
	return nil
}

// reshape brings the rows that stay into new columns; those that are new are written next.
func (r *replica) reshape(schema *Schema) {
	for _, entry := range r.entries {
		values := make([]any, len(schema.Columns))
		for at, column := range schema.Columns {
			if entry.row.schema.has(column) {
				values[at] = entry.row.Value(column.GetName())
			}
		}
		entry.row = Row{schema, values}
	}
}

// write gives entries the values of rows that have some of the columns of schema. Rows are replaced, never edited: those
// that a reader has stay what they were.
func write(schema *Schema, entries []*entry, rows []Row) {
	var part *Schema
	var columns []int // where the columns of part are in schema
	for at, row := range rows {
		if row.schema != part {
			part, columns = row.schema, columns[:0]
			for _, column := range part.Columns {
				columns = append(columns, schema.Index(column.GetName()))
			}
		}
		values := slices.Clone(entries[at].row.values)
		for from, to := range columns {
			values[to] = row.values[from]
		}
		entries[at].row = Row{schema, values}
	}
}

// scatter puts rows into an order, each at its position in the result; the places are sorted. It works from the end, and
// ends with the first place: what stands before it does not move.
func scatter(order []*entry, places places) []*entry {
	from := len(order) - 1
	order = append(order, make([]*entry, len(places))...)
	for to, left := len(order)-1, len(places)-1; left >= 0; to-- {
		if int(places[left].index) == to {
			order[to] = places[left].entry
			left--
		} else {
			order[to] = order[from]
			from--
		}
	}
	return order
}

// pair makes one key of several values.
type pair struct{ value, rest any }

// keyOf is what names a row in a lookup.
func keyOf(row Row, names []string) any {
	var key any
	for at := len(names) - 1; at >= 0; at-- {
		value := row.Value(names[at])
		switch found := value.(type) {
		case float64:
			value = canonical(found) // a group may be named by NaN, which equals itself here
		case json.RawMessage:
			value = string(found)
		}
		if len(names) == 1 {
			return value
		}
		key = pair{value, key}
	}
	return key
}
