package tesseract

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/protobuf/proto"

	"github.com/tesseract-grpc/tesseract-grpc/clients/go/gen/tesseractv1"
)

// Options say how to reach a server. The zero value is good for a server on the same machine.
type Options struct {
	// Hub is the id of the hub. Default: "default".
	Hub string
	// Token is sent with every call. Without TLS it travels unencrypted, which is logged unless the server is local.
	Token string
	// TLS turns encryption on; &tls.Config{} believes the authorities of the system. Default: off.
	TLS *tls.Config
	// Timeout is how long a call may take, retries included, whose context has no deadline. Default: 30 s.
	Timeout time.Duration
	// Keepalive is after which silence of a connection the server is asked whether it is there. Default, and least that
	// gRPC for Go accepts: 10 s.
	Keepalive time.Duration
	// KeepaliveTimeout is how long it may take to answer that. Default: 4 s.
	KeepaliveTimeout time.Duration
	// Retry is how patiently calls and watches are tried again.
	Retry Retry
	// MaxMessageBytes is the largest message that is accepted from the server. Default: 64 MiB.
	MaxMessageBytes int
	// Logger is told of interruptions (Warn) and new attempts (Debug). Default: slog.Default().
	Logger *slog.Logger
	// DialOptions are given to gRPC after those that this package sets.
	DialOptions []grpc.DialOption
}

// Retry says how often and how patiently calls and watches are tried again while the server cannot be reached.
type Retry struct {
	// Attempts is how often a call is sent at most before the server has ever answered, so that a wrong address is soon
	// told; 1 turns retries off. A server that has answered once is waited for until the call's deadline. Default: 4.
	Attempts int
	// InitialBackoff is the first pause at most. Pauses are random below a limit that doubles. Default: 0.1 s.
	InitialBackoff time.Duration
	// MaxBackoff is the longest pause; what the server asks for comes on top. Default: 5 s.
	MaxBackoff time.Duration
	// GiveUpAfter is after how long without a stream a mirror ends. Default: it tries for ever.
	GiveUpAfter time.Duration
}

// Hub is a connection to a store of tables and sessions. It may be used by many goroutines. It is a
// grpc.ClientConnInterface: give it to the constructors of package tesseractv1 for what this package has no words for.
type Hub struct {
	options  Options
	address  string
	tables   tesseractv1.TableServiceClient
	sessions tesseractv1.SessionServiceClient
	hubs     tesseractv1.HubServiceClient
	reached  atomic.Bool
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	mirrors  sync.WaitGroup

	mu      sync.Mutex // of what is below
	conn    *grpc.ClientConn
	retired *grpc.ClientConn // a silent one, with what is still open on it
	number  int              // of conn: rises when a silent one is replaced
	closed  bool
}

var _ grpc.ClientConnInterface = (*Hub)(nil)

// Connect prepares a connection to a server, for example "localhost:50051", or to the first that answers of several,
// "one:50051,two:50051". It does not wait: the first call says whether the server is there.
func Connect(address string, options Options) (*Hub, error) {
	defaults(&options.Hub, "default")
	defaults(&options.Timeout, 30*time.Second)
	defaults(&options.Keepalive, 10*time.Second)
	defaults(&options.KeepaliveTimeout, 4*time.Second)
	defaults(&options.Retry.Attempts, 4)
	defaults(&options.Retry.InitialBackoff, 100*time.Millisecond)
	defaults(&options.Retry.MaxBackoff, 5*time.Second)
	defaults(&options.MaxMessageBytes, 64<<20)
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if address == "" {
		return nil, invalid("MALFORMED_REQUEST", "address", "an address is a text such as localhost:50051")
	}
	if r := options.Retry; min(options.Timeout, options.Keepalive, options.KeepaliveTimeout, r.InitialBackoff, r.MaxBackoff,
		r.GiveUpAfter, time.Duration(r.Attempts), time.Duration(options.MaxMessageBytes)) < 0 {
		return nil, invalid("MALFORMED_REQUEST", "options", "no option is below 0")
	}
	hub := &Hub{options: options, address: address}
	conn, err := hub.dial()
	if err != nil {
		return nil, invalid("MALFORMED_REQUEST", "address", err.Error())
	}
	if options.Token != "" && options.TLS == nil && !local(address) {
		options.Logger.Warn("the token travels unencrypted; set Options.TLS", "address", address)
	}
	hub.conn = conn
	hub.ctx, hub.cancel = context.WithCancel(context.Background())
	hub.tables = tesseractv1.NewTableServiceClient(hub)
	hub.sessions = tesseractv1.NewSessionServiceClient(hub)
	hub.hubs = tesseractv1.NewHubServiceClient(hub)
	return hub, nil
}

func defaults[T comparable](option *T, value T) {
	var unset T
	if *option == unset {
		*option = value
	}
}

func local(address string) bool {
	for _, one := range strings.Split(address, ",") {
		host, _, _ := net.SplitHostPort(one)
		if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() && !strings.HasPrefix(one, "unix:") {
			return false
		}
	}
	return true
}

func (h *Hub) dial() (*grpc.ClientConn, error) {
	credential := insecure.NewCredentials()
	if h.options.TLS != nil {
		credential = credentials.NewTLS(h.options.TLS)
	}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = h.options.Retry.InitialBackoff, h.options.Retry.MaxBackoff
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credential),
		grpc.WithUserAgent("tesseract-go/" + Version),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: max(h.options.Keepalive, 10*time.Second), Timeout: h.options.KeepaliveTimeout,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: h.options.Timeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(h.options.MaxMessageBytes)),
		// Windows of a fixed size turn bandwidth probing off: with it a client that reads slowly lets megabytes pile up on
		// its side, and the server cannot tell that it is slow.
		grpc.WithInitialWindowSize(256 << 10),
		grpc.WithInitialConnWindowSize(1 << 20),
		// Retries are made here, where the server's RetryInfo is known.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	}
	target := h.address
	if several := strings.Split(h.address, ","); len(several) > 1 {
		addresses := make([]resolver.Address, len(several))
		for at, one := range several {
			one = strings.TrimSpace(one)
			addresses[at] = resolver.Address{Addr: one, ServerName: one} // of its certificate
		}
		list := manual.NewBuilderWithScheme("tesseract")
		list.InitialState(resolver.State{Addresses: addresses})
		target, options = "tesseract:///"+addresses[0].Addr, append(options, grpc.WithResolvers(list))
	}
	return grpc.NewClient(target, append(options, h.options.DialOptions...)...)
}

// Close ends every mirror of the hub, waits for them, and closes the connection. It waits for handlers that run, so do not
// call it from one. To close twice is no error.
func (h *Hub) Close() error {
	h.mu.Lock()
	before := h.closed
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.mirrors.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if before {
		return nil
	}
	if h.retired != nil {
		h.retired.Close()
	}
	return h.conn.Close()
}

// enter counts one more mirror, for which Close will wait.
func (h *Hub) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return closedError("the hub")
	}
	h.mirrors.Add(1)
	return nil
}

// open is the present connection and its number.
func (h *Hub) open() (*grpc.ClientConn, int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, 0, closedError("the hub")
	}
	return h.conn, h.number, nil
}

// renew replaces the connection with this number, unless that has happened: what hangs in a silent one would hang until TCP
// gives up, and every new call behind it. What is still open on the old one may go on until the next is replaced.
func (h *Hub) renew(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || number != h.number {
		return
	}
	if conn, err := h.dial(); err == nil {
		if h.retired != nil {
			h.retired.Close()
		}
		h.retired, h.conn, h.number = h.conn, conn, h.number+1
	}
}

// Invoke makes one call. What may be sent twice (it reads, or has a request id) is sent again while the server is away,
// until the deadline of ctx, or Options.Timeout. Errors are of type *Error.
func (h *Hub) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if _, found := ctx.Deadline(); !found {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.options.Timeout)
		defer cancel()
	}
	return h.again(ctx, mayBeSentTwice(request), func() error {
		conn, _, err := h.open()
		if err != nil {
			return err
		}
		return errorOf(conn.Invoke(h.outgoing(ctx), method, request, reply, options...))
	})
}

// again makes a call, and where it may be made twice once more as long as it fails with what passes.
func (h *Hub) again(ctx context.Context, twice bool, call func() error) error {
	deadline, found := ctx.Deadline()
	if !found {
		deadline = time.Now().Add(h.options.Timeout)
	}
	pauses := pauses{retry: h.options.Retry}
	for attempt := 1; ; attempt++ {
		err := call()
		if err != nil && h.ctx.Err() != nil {
			return closedError("the hub")
		}
		failure, failed := err.(*Error)
		passes := failed && failure.passes()
		if !passes {
			h.reached.Store(true)
		}
		most := h.options.Retry.Attempts
		if !passes || !twice || most == 1 || attempt >= most && !h.reached.Load() {
			return err
		}
		pause := pauses.next(failure.RetryAfter)
		if time.Until(deadline) <= pause {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		case <-h.ctx.Done():
			return closedError("the hub")
		}
	}
}

// NewStream begins a stream. It has no deadline but that of ctx, and is not tried again. Errors are of type *Error.
func (h *Hub) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	conn, _, err := h.open()
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(h.outgoing(ctx), desc, method, options...)
	if err != nil {
		return nil, errorOf(err)
	}
	return clientStream{stream}, nil
}

type clientStream struct{ grpc.ClientStream }

func (s clientStream) RecvMsg(message any) error { return errorOf(s.ClientStream.RecvMsg(message)) }
func (s clientStream) SendMsg(message any) error { return errorOf(s.ClientStream.SendMsg(message)) }

func (h *Hub) outgoing(ctx context.Context) context.Context {
	if h.options.Token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+h.options.Token)
}

// reads is how the requests begin that change nothing.
var reads = []string{"Get", "List", "Query", "Explain", "Validate", "RequestProgress"}

func mayBeSentTwice(request any) bool {
	if marked, ok := request.(interface{ GetRequestId() string }); ok && marked.GetRequestId() != "" {
		return true
	}
	message, ok := request.(proto.Message)
	return ok && slices.ContainsFunc(reads, func(read string) bool {
		return strings.HasPrefix(string(message.ProtoReflect().Descriptor().Name()), read)
	})
}

// newRequestID is an id that no other request has.
func newRequestID() string {
	id := make([]byte, 16)
	rand.Read(id)
	return hex.EncodeToString(id)
}

// pauses are the pauses between attempts: exponential, with full jitter, so that a thousand clients do not return at once.
type pauses struct {
	retry    Retry
	failures int
}

// next is the pause after one more failure; never less than the server asked for, and then too not the same for everybody.
func (p *pauses) next(atLeast *time.Duration) time.Duration {
	limit := p.retry.MaxBackoff
	if p.failures < 30 {
		limit = min(limit, p.retry.InitialBackoff<<p.failures)
		p.failures++
	}
	pause := time.Duration(mathrand.Float64() * float64(limit))
	if atLeast != nil {
		pause += *atLeast
	}
	return pause
}

func (p *pauses) reset() { p.failures = 0 }
