package tesseract

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"time"
)

const digestFormat = "tesseract.digest.1\n"

// digestOf is the SHA-256 of rows, in order, as docs/GUARANTEES.md defines it. O(cells).
func digestOf(schema *Schema, rows []Row) [sha256.Size]byte {
	little := binary.LittleEndian
	hash, bytes := sha256.New(), []byte(digestFormat)
	bytes = little.AppendUint32(bytes, uint32(len(rows)))
	bytes = little.AppendUint32(bytes, uint32(len(schema.Columns)))
	for at, column := range schema.Columns {
		bytes = little.AppendUint32(bytes, uint32(len(column.GetName())))
		bytes = append(bytes, column.GetName()...)
		bytes = append(bytes, byte(column.GetType()))
		for _, row := range rows {
			bytes = append(bytes, bit(row.values[at] != nil))
		}
		var texts []byte
		for _, row := range rows {
			switch column.GetType() {
			case Bool:
				value, _ := row.values[at].(bool)
				bytes = append(bytes, bit(value))
			case Int64:
				value, _ := row.values[at].(int64)
				bytes = little.AppendUint64(bytes, uint64(value))
			case Timestamp:
				if value, ok := row.values[at].(time.Time); ok {
					bytes = little.AppendUint64(bytes, uint64(value.UnixMicro()))
				} else {
					bytes = little.AppendUint64(bytes, 0)
				}
			case Float64:
				value, _ := row.values[at].(float64)
				bytes = little.AppendUint64(bytes, canonical(value))
			default:
				text := textOf(row.values[at])
				bytes = little.AppendUint32(bytes, uint32(len(text)))
				texts = append(texts, text...)
			}
		}
		hash.Write(bytes)
		hash.Write(texts)
		bytes = bytes[:0]
	}
	hash.Write(bytes)
	return [sha256.Size]byte(hash.Sum(nil))
}

// canonical is the bits of a double, of which there is one NaN and one zero.
func canonical(value float64) uint64 {
	if math.IsNaN(value) {
		return 0x7FF8000000000000
	}
	return math.Float64bits(value + 0) // -0.0 + 0.0 is 0.0
}

func textOf(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.RawMessage:
		return string(value)
	}
	return ""
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}
