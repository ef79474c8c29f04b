// Package tesseract is the client of Tesseract: tables on a server, live queries over them, and mirrors that follow.
//
// A [Hub] is a connection to a store of tables with one line of versions: every commit has the next version. A [Table] is
// rows by key. A [Session] is a live query that any number of clients may watch. A [Mirror] holds the rows of a session,
// or of a window of it, in this process, and keeps them current over broken connections, restarted servers and slow
// readers.
//
//	hub, err := tesseract.Connect("localhost:50051", tesseract.Options{})
//	users, err := hub.CreateTable(ctx, "users", []*tesseract.Column{
//		{Name: "id", Type: tesseract.Int64, PrimaryKey: true},
//		{Name: "name", Type: tesseract.String},
//	})
//	version, err := users.Insert(ctx, []tesseract.Record{{"id": 1, "name": "Ada"}})
//	session, err := hub.CreateSession(ctx, "all", &tesseract.Query{Table: "users"})
//	mirror, err := session.Mirror(ctx, tesseract.MirrorOptions{})
//	err = mirror.WaitFor(ctx, version) // the rows of the mirror are those of the write, or newer
//
// How a mirror works, from the wire to its reader, one noun a file:
//
//	WatchSession --responses--> feed --changes--> replica --rows--> Mirror
//
// The feed (feed.go) is the state machine of one stream: it believes nothing that the contract does not allow, and makes
// one [Change] of what is told together. The replica (replica.go) holds the rows and applies a change whole or not at all.
// The watch (watch.go) replaces streams that break, with the resume token of the last consistent point, and knows the
// [State]. The [Mirror] (mirror.go) is what readers see: only ever the rows of one version.
//
// Every failed call returns an [*Error], whose Reason is from the closed list of docs/ERRORS.md. What this package has no
// words for can be asked through the generated stubs: a *Hub is a grpc.ClientConnInterface, with the token, the retries and
// the errors of this package.
package tesseract

// Version is the version of this package.
const Version = "0.1.0"
