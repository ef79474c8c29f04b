// Relay_watch mirrors a session and says on demand what it holds: a program of the tests that compare all clients.
//
//	relay_watch --address A[,B] --session NAME
//
// It prints a line when the mirror is live for the first time, and one for each line `digest VERSION` of stdin, as soon as
// the mirror is at that version or a later one. It ends with stdin.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"time"

	tesseract "github.com/tesseract-grpc/tesseract-grpc/clients/go"
)

func main() {
	address := flag.String("address", "localhost:50051", "of the server; several with commas")
	session := flag.String("session", "", "the id of the session")
	flag.Parse()
	if err := run(*address, *session); err != nil {
		log.Fatal(err)
	}
}

func run(address, id string) error {
	ctx := context.Background()
	hub, err := tesseract.Connect(address, tesseract.Options{Retry: tesseract.Retry{MaxBackoff: time.Second}})
	if err != nil {
		return err
	}
	defer hub.Close()
	session, err := hub.Session(ctx, id)
	if err != nil {
		return err
	}
	var resumes, snapshots, changes atomic.Int64
	mirror, err := session.Mirror(ctx, tesseract.MirrorOptions{
		OnResumed: func(tesseract.Resumed) { resumes.Add(1) },
		OnChange: func(change *tesseract.Change) {
			if change.Snapshot {
				snapshots.Add(1)
			} else {
				changes.Add(1)
			}
		},
	})
	if err != nil {
		return err
	}
	defer mirror.Close()
	if err := mirror.Ready(ctx); err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	if err := output.Encode(map[string]any{"state": "live", "version": mirror.Version()}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var version uint64
		if _, err := fmt.Sscanf(lines.Text(), "digest %d", &version); err != nil {
			return fmt.Errorf("not `digest VERSION`: %q", lines.Text())
		}
		patience, cancel := context.WithTimeout(ctx, 2*time.Minute)
		err := mirror.WaitFor(patience, version)
		cancel()
		if err != nil {
			return err
		}
		bookmark, err := mirror.Bookmark()
		if err != nil {
			return err
		}
		digest := bookmark.Digest()
		if err := output.Encode(map[string]any{
			"version": bookmark.Version, "rows": len(bookmark.Rows), "digest": hex.EncodeToString(digest[:]),
			"resumes": resumes.Load(), "resets": snapshots.Load() - 1, "changes": changes.Load(),
		}); err != nil {
			return err
		}
	}
	return nil
}
