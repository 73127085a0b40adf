package view

import (
	"bytes"
	"fmt"
	"io"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Documents writes the documents of a revision as one YAML stream, in which a comment names each file. If the documents were saved in dir, it writes
// only their number.
func (t *table) Documents(r *op25bv1.ShowResponse, dir string) error {
	if dir != "" {
		_, err := fmt.Fprintf(t.w, "revision %d: %s saved in %s\n", r.GetRevision().GetNumber(), prose.Count(len(r.Files), "file"), plain(dir))
		return err
	}
	var b bytes.Buffer
	for _, f := range r.Files {
		fmt.Fprintf(&b, "---\n# revision %d: %s\n", r.GetRevision().GetNumber(), plain(f.GetName()))
		b.WriteString(prose.EscapeLines(string(f.GetData())))
		if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
			b.WriteByte('\n')
		}
	}
	_, err := io.Copy(t.w, &b)
	return err
}

// Approved names the approved documents.
func (t *table) Approved(q *op25bv1.ApproveRequest) error {
	_, err := fmt.Fprintf(t.w, "approved: documents %.12s on revision %d, for another person to apply\n", q.Digest, q.Base)
	return err
}
