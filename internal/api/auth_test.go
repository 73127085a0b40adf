package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"op25b/internal/auth"
	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
	op25bv1 "op25b/proto/op25b/v1"
)

// protoFiles returns the descriptors of all files of the API.
func protoFiles() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		op25bv1.File_op25b_v1_intent_proto, op25bv1.File_op25b_v1_fleet_proto, op25bv1.File_op25b_v1_phase_proto,
		op25bv1.File_op25b_v1_check_proto, op25bv1.File_op25b_v1_audit_proto, op25bv1.File_op25b_v1_store_proto, op25bv1.File_op25b_v1_telemetry_proto,
		op25bv1.File_op25b_v1_abuse_proto, op25bv1.File_op25b_v1_portal_proto, op25bv1.File_op25b_v1_subscriber_proto, op25bv1.File_op25b_v1_lease_proto, op25bv1.File_op25b_v1_exemption_proto, op25bv1.File_op25b_v1_rollout_proto,
	}
}

// Every call of every service has an entry in the table of verbs. Calls that change something have a name in the table and require a role above
// viewer.
func TestVerbs(t *testing.T) {
	left := maps.Clone(verbs)
	for _, f := range protoFiles() {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			if !slices.Contains(Services(), string(service.FullName())) {
				t.Errorf("service %s is not served", service.FullName())
			}
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				procedure := fmt.Sprintf("/%s/%s", service.FullName(), m.Name())
				verb, ok := left[procedure]
				if !ok {
					t.Errorf("%s is not in the table", procedure)
				}
				delete(left, procedure)
				// A backup contains the whole store, so it is recorded and restricted like a change.
				changes := m.Output().Name() == "Progress" || m.Name() == "Backup" || m.Name() == "ConfirmClock" || m.Name() == "Prune" ||
					m.Name() == "ResolveLines" || m.Name() == "ForgetLines" || m.Name() == "FindAddress" || // a name of a line is recorded like a change
					m.Name() == "Grant" || m.Name() == "Revoke" || m.Name() == "Approve" || m.Name() == "Start" || m.Name() == "Steer" ||
					m.Name() == "HoldSwitch" || m.Name() == "Schedule" || m.Name() == "CancelScheduled" || m.Name() == "ReleaseSwitch" ||
					strings.HasPrefix(string(m.Name()), "Report") // so is the beginning of reports
				if changes != (verb.Name != "") || changes && verb.Least == auth.Viewer || verb.Least == auth.None {
					t.Errorf("%s: %+v, and it changes something: %v", procedure, verb, changes)
				}
			}
		}
	}
	for _, other := range []string{reflectV1, reflectV1Alpha, healthCheck} {
		delete(left, other)
	}
	if len(left) != 0 {
		t.Errorf("calls that there are not: %v", left)
	}
}

// accessFile writes an access file with a token and a certificate for each role, and returns its path.
func accessFile(t testing.TB, tokens map[string]string, more string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: op25b/v1\nkind: Access\ntokens:\n")
	for _, role := range auth.Roles() {
		token, entry, err := auth.NewToken(string(role)+"-bot", role, "")
		if err != nil {
			t.Fatal(err)
		}
		tokens[string(role)] = token
		fmt.Fprintf(&b, "  - {name: %s-bot, role: %s, sha256: %s}\n", role, role, entry.SHA256)
	}
	token, entry, err := auth.NewToken("old-bot", auth.Admin, "2006-05-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	tokens["expired"] = token
	fmt.Fprintf(&b, "  - {name: old-bot, role: admin, sha256: %s, expires: 2006-05-01T00:00:00Z}\n", entry.SHA256)
	b.WriteString("certificates:\n")
	for _, role := range auth.Roles() {
		fmt.Fprintf(&b, "  - {commonName: %s.noc.example, role: %s}\n", role, role)
	}
	b.WriteString(more)
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// invoke makes a call with an empty request and returns its error.
func invoke(ctx context.Context, conn *grpc.ClientConn, procedure string) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, procedure)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

// TestMatrix makes every call with every role and every kind of credentials. The guard must admit callers whose role is sufficient, and report
// the required role to all others. The audit chain must contain a record for each refused change and no other records.
func TestMatrix(t *testing.T) {
	us := tlstest.New(t)
	server := us.Dir(t, "localhost")
	tokens := make(map[string]string)
	access, err := auth.Open(accessFile(t, tokens, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var handler Deps
	w := newWorld(t, func(d *Deps) {
		d.Auth.Access, d.Sessions, d.Leases = access, oneSession{ready: true}, &someLeases{}
		handler = *d
	})
	handler.Metrics = nil
	addr := serve(t, Listening{Addr: "127.0.0.1:0", Cert: server.Cert, Key: server.Key, ClientCA: server.CA}, New(handler))
	dial := func(name string) *grpc.ClientConn {
		t.Helper()
		files := tlsfiles.Files{CA: server.CA, ServerName: "localhost"}
		if name != "" {
			own := us.Dir(t, name)
			files.Cert, files.Key = own.Cert, own.Key
		}
		config, err := tlsfiles.Client(files)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	type credential struct {
		name  string
		conn  *grpc.ClientConn
		token string
		who   string
		role  auth.Role
		known bool
	}
	plain, bare := w.dial(), dial("")
	all := []credential{
		{"nothing, plaintext", plain, "", "", auth.None, false},
		{"nothing, TLS", bare, "", "", auth.None, false},
		{"a wrong token", bare, "op25b_wrong", "", auth.None, false},
		{"a wrong token, plaintext", plain, "op25b_wrong", "", auth.None, false},
		{"an expired token", plain, tokens["expired"], "", auth.None, false},
		{"a certificate without role", dial("stranger.noc.example"), "", "stranger.noc.example", auth.None, true},
		{"a token before a certificate", dial("admin.noc.example"), tokens["viewer"], "viewer-bot", auth.Viewer, true},
	}
	for _, role := range auth.Roles() {
		all = append(
			all,
			credential{"a token of " + string(role), plain, tokens[string(role)], string(role) + "-bot", role, true},
			credential{"a certificate of " + string(role), dial(string(role) + ".noc.example"), "", string(role) + ".noc.example", role, true},
		)
	}
	var wantChain []string
	strangers, secured := 0, 0 // the number of changes that strangers request over plain text and over TLS
	for _, c := range all {
		for procedure, verb := range verbs {
			if procedure == reflectV1 || procedure == reflectV1Alpha {
				continue // reflection streams do not accept an empty request
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			if c.token != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
			}
			if procedure == "/op25b.v1.FleetService/WatchSwitches" { // a watch does not end by itself
				ctx, cancel = context.WithCancel(ctx)
			}
			err := invoke(ctx, c.conn, procedure)
			cancel()
			code, denied := status.Code(err), detail[*op25bv1.Denied](err)
			switch {
			case verb.Least == auth.None:
				if err != nil {
					t.Errorf("%s, %s: %v", c.name, procedure, err)
				}
			case !c.known:
				if code != codes.Unauthenticated || denied.GetNeeded() != string(verb.Least) || !strings.HasSuffix(err.Error(), "requires the role "+string(verb.Least)) {
					t.Errorf("%s, %s: %v", c.name, procedure, err)
				}
				if verb.Name != "" && c.conn == plain {
					strangers++
				} else if verb.Name != "" {
					secured++
				}
			case !c.role.May(verb.Least):
				if code != codes.PermissionDenied || denied.GetNeeded() != string(verb.Least) || denied.GetWho() != c.who || denied.GetRole() != string(c.role) {
					t.Errorf("%s, %s: %v, %v", c.name, procedure, err, denied)
				}
				if verb.Name != "" {
					wantChain = append(wantChain, strings.Join(strings.Fields(fmt.Sprintf("%s %s refused %s", c.who, c.role, verb.Name)), " "))
				}
			default:
				if code == codes.Unauthenticated || code == codes.PermissionDenied {
					t.Errorf("%s, %s: %v", c.name, procedure, err)
				}
				switch verb.Name {
				case "":
				case "backup":
					wantChain = append(wantChain, fmt.Sprintf("%s %s backup store", c.who, c.role))
				default: // the empty request is refused because it has no reason
					wantChain = append(wantChain, fmt.Sprintf("%s %s refused %s", c.who, c.role, verb.Name))
				}
			}
		}
	}
	if strangers != 72 || secured != 48 {
		t.Errorf("%d and %d changes were asked for by strangers, want 72 and 48", strangers, secured)
	}
	var got []string
	unknown := 0
	for _, record := range w.chain() {
		record = strings.Join(strings.Fields(record), " ")
		if strings.HasPrefix(record, "unknown from 127.0.0.1 refused ") {
			unknown++
			continue
		}
		got = append(got, record)
	}
	slices.Sort(got)
	slices.Sort(wantChain)
	if !slices.Equal(got, wantChain) {
		t.Errorf("the chain has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wantChain, "\n"))
	}
	if unknown != refusalsAtOnce+min(secured, refusalsAtOnce) {
		t.Errorf("%d refusals of strangers are in the chain, want the first %d of each connection", unknown, refusalsAtOnce)
	}
	w.now = w.now.Add(time.Minute)
	_ = invoke(within(t), plain, "/op25b.v1.IntentService/Apply")
	records, err := w.store.Audit().Records(within(t), uint64(len(wantChain)+unknown+1), 10)
	if err != nil || len(records) != 1 || !strings.HasSuffix(records[0].Detail, fmt.Sprintf("; %d more since the last such record", strangers-refusalsAtOnce)) {
		t.Errorf("a minute later: %v, %v", records, err)
	}
	if code, _ := get(t, "http://"+w.addr+"/metrics"); code != 401 {
		t.Errorf("/metrics without credentials: %d", code)
	}
	if code, _ := get(t, "http://"+w.addr+"/metrics", "Authorization", "Bearer "+tokens["viewer"]); code != 200 {
		t.Errorf("/metrics for a viewer: %d", code)
	}
	if code, body := get(t, "http://"+w.addr+"/metrics", "Authorization", "Basic eDp5"); code != 401 || !strings.Contains(body, `must be "Bearer" followed by a token`) {
		t.Errorf("/metrics with a password: %d %s", code, body)
	}
}

// A token that is added to or removed from the access file takes effect at the next call, even on an open connection.
func TestAccessIsTakenUp(t *testing.T) {
	tokens := make(map[string]string)
	path := accessFile(t, tokens, "")
	var told []error
	access, err := auth.Open(path, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(d *Deps) { d.Auth.Access = access })
	conn := w.dial()
	call := func(token string) codes.Code {
		return status.Code(invoke(metadata.AppendToOutgoingContext(within(t), "authorization", "bearer "+token), conn, "/op25b.v1.FleetService/ListSwitches"))
	}
	if got := call(tokens["viewer"]); got != codes.OK {
		t.Fatal(got)
	}
	next := make(map[string]string)
	content, err := os.ReadFile(accessFile(t, next, ""))
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Replace(t, path, content)
	if old, now := call(tokens["viewer"]), call(next["viewer"]); old != codes.Unauthenticated || now != codes.OK {
		t.Errorf("the old token: %v, the new: %v", old, now)
	}
	tlstest.Replace(t, path, []byte("kind: Access\n"))
	if got := call(next["viewer"]); got != codes.OK || call(next["viewer"]) != codes.OK || len(told) != 1 {
		t.Errorf("a broken file: %v, told %v", got, told)
	}
}

// The server certificate and the CA for client certificates can be replaced without a restart.
func TestRotation(t *testing.T) {
	us, others := tlstest.New(t), tlstest.New(t)
	server := us.Dir(t, "localhost")
	access, err := auth.Open(accessFile(t, make(map[string]string), ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(within(t), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	addr := serve(t, Listening{Addr: "127.0.0.1:0", Cert: server.Cert, Key: server.Key, ClientCA: server.CA, RequireClientCert: true},
		New(Deps{Store: s, Book: intent.NewBook(s, time.Now), Switches: newToldSwitches(), Auth: Auth{Access: access}}))
	call := func(roots []byte, own tlstest.Dir) error {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(roots)
		config := &tls.Config{RootCAs: pool, ServerName: "localhost"}
		if own.Cert != "" {
			pair, err := tls.LoadX509KeyPair(own.Cert, own.Key)
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = op25bv1.NewAuditServiceClient(conn).ListRecords(within(t), &op25bv1.ListRecordsRequest{})
		return err
	}
	viewer, foreign := us.Dir(t, "viewer.noc.example"), others.Dir(t, "viewer.noc.example")
	if err := call(us.CAPem, viewer); err != nil {
		t.Errorf("before: %v", err)
	}
	if err := call(us.CAPem, foreign); status.Code(err) != codes.Unavailable {
		t.Errorf("a certificate of another authority: %v", err)
	}
	if err := call(us.CAPem, tlstest.Dir{}); status.Code(err) != codes.Unavailable {
		t.Errorf("no certificate: %v", err)
	}
	others.Renew(t, server, "localhost")
	tlstest.Replace(t, server.CA, others.CAPem)
	if err := call(others.CAPem, foreign); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if err := call(others.CAPem, viewer); status.Code(err) != codes.Unavailable {
		t.Errorf("a certificate of the old authority: %v", err)
	}
}
