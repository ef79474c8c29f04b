package tesseract

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The stage is what these tests run against: a process that plays vectors and keeps real servers (tests/clients/stage.py).
// TESSERACT_STAGE says where it listens, TESSERACT_VECTORS where the vectors are.

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// ask makes a request of the stage, and writes its answer into answer.
func ask(t testing.TB, method, path string, body map[string]any, answer any) {
	t.Helper()
	stage := os.Getenv("TESSERACT_STAGE")
	if stage == "" {
		t.Fatal("TESSERACT_STAGE is not set: start `python -m tests.clients stage` and put its address there")
	}
	if body == nil {
		body = map[string]any{}
	}
	content, err := json.Marshal(body)
	check(t, err)
	request, err := http.NewRequest(method, stage+path, bytes.NewReader(content))
	check(t, err)
	response, err := client.Do(request)
	check(t, err)
	defer response.Body.Close()
	found, err := io.ReadAll(response.Body)
	check(t, err)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, path, response.Status, found)
	}
	if answer != nil {
		check(t, json.Unmarshal(found, answer))
	}
}

// server is a real server of the stage.
type server struct {
	t       testing.TB
	ID      string
	Address string
	TLS     *struct{ CA, Cert, Key string }
	Tokens  map[string]string
}

func start(t testing.TB, options map[string]any) *server {
	t.Helper()
	s := &server{t: t}
	ask(t, "POST", "/servers", options, s)
	t.Cleanup(func() { ask(t, "DELETE", "/servers/"+s.ID, nil, nil) })
	return s
}

func (s *server) do(what string) {
	s.t.Helper()
	ask(s.t, "POST", "/servers/"+s.ID+"/"+what, nil, nil)
}

// quiet are options for tests: fast retries, and no log.
func quiet() Options {
	return Options{
		Timeout: 20 * time.Second,
		Retry:   Retry{InitialBackoff: 10 * time.Millisecond, MaxBackoff: 20 * time.Millisecond},
		Logger:  slog.New(slog.DiscardHandler),
	}
}

func connect(t testing.TB, address string, options Options) *Hub {
	t.Helper()
	hub, err := Connect(address, options)
	check(t, err)
	t.Cleanup(func() { hub.Close() })
	return hub
}

// soon is a context that ends before the test does.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// noGoroutinesLeft fails the test when goroutines of this package or of gRPC outlive what it cleans up.
func noGoroutinesLeft(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left []string
		for range 400 {
			stacks := make([]byte, 4<<20)
			left = nil
			for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
				if strings.Contains(stack, "google.golang.org/grpc") || strings.Contains(stack, "tesseract.(*watch)") {
					left = append(left, stack)
				}
			}
			if len(left) == 0 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
	})
}

func vectorFiles(t testing.TB) []string {
	t.Helper()
	folder := os.Getenv("TESSERACT_VECTORS")
	if folder == "" {
		t.Fatal("TESSERACT_VECTORS is not set: it is the absolute path of tests/vectors")
	}
	files, err := filepath.Glob(filepath.Join(folder, "data", "*.json"))
	check(t, err)
	return files
}
