// Command xmod judges tlog-proofs with golang.org/x/mod, the packages behind Go's checksum database.
//
// They know signed notes, log keys and Merkle proofs, and no policy: what is judged here is that a log of the policy
// signed the checkpoint and that the entry is in it.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mulu.example/tests/foreign/cases"
)

func main() { cases.Judge(verify) }

func verify(c cases.Case) error {
	index, path, checkpoint, err := read(c.Proof)
	if err != nil {
		return err
	}
	logs, err := logsOf(c.Policy)
	if err != nil {
		return err
	}
	signed, err := note.Open(checkpoint, logs)
	if err != nil {
		return err
	}
	size, root, err := treeOf(signed)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, size, root, index, tlog.RecordHash(c.Entry))
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

// logsOf returns the verifiers of the policy's `log` lines.
func logsOf(policy []byte) (note.Verifiers, error) {
	var verifiers []note.Verifier
	scanner := bufio.NewScanner(bytes.NewReader(policy))
	for scanner.Scan() {
		words := strings.Fields(scanner.Text())
		if len(words) < 2 || words[0] != "log" {
			continue
		}
		verifier, err := note.NewVerifier(words[1])
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	return note.VerifierList(verifiers...), scanner.Err()
}

func treeOf(signed *note.Note) (int64, tlog.Hash, error) {
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != signed.Sigs[0].Name {
		return 0, tlog.Hash{}, fmt.Errorf("not a checkpoint of the log that signed it")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return 0, tlog.Hash{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return 0, tlog.Hash{}, fmt.Errorf("not a root: %q", lines[2])
	}
	return size, tlog.Hash(root), nil
}
