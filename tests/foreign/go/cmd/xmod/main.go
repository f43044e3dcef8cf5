// Command xmod judges tlog-proofs with golang.org/x/mod, the packages behind Go's checksum database.
//
// They know signed notes, log keys and Merkle proofs, and no policy: what is judged here is that a log of the policy
// signed the checkpoint and that the entry is in it.
package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mulu.example/tests/foreign/cases"
	"mulu.example/tests/foreign/checkpoints"
)

func main() { cases.Judge(verify) }

func verify(c cases.Case) error {
	index, path, checkpoint, err := read(c.Proof)
	if err != nil {
		return err
	}
	logs, err := checkpoints.Logs(c.Policy)
	if err != nil {
		return err
	}
	signed, err := note.Open(checkpoint, logs)
	if err != nil {
		return err
	}
	tree, err := checkpoints.Tree(signed)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(c.Entry))
}

// read takes a tlog-proof apart, which x/mod does not know.
func read(proof []byte) (int64, tlog.RecordProof, []byte, error) {
	head, checkpoint, found := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, nil, nil, fmt.Errorf("not a tlog-proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return 0, nil, nil, fmt.Errorf("no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return 0, nil, nil, err
	}
	var path tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, nil, err
		}
		path = append(path, hash)
	}
	return index, path, checkpoint, nil
}
