// Command transparencydev judges tlog-proofs with the libraries of transparency.dev, the quorum of the policy included.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"mulu.example/tests/foreign/cases"
)

func main() { cases.Judge(verify) }

func verify(c cases.Case) error {
	var p proof.TLogProof
	if err := p.Unmarshal(c.Proof); err != nil {
		return err
	}
	policy, err := witness.ParsePolicy(c.Policy)
	if err != nil {
		return err
	}
	checkpoint, err := open(p.Checkpoint, c.Policy)
	if err != nil {
		return err
	}
	if !policy.Satisfied(p.Checkpoint) {
		return errors.New("the witnesses that cosigned do not satisfy the policy")
	}
	path := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		path[i] = p.Hashes[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(c.Entry)
	return merkle.VerifyInclusion(rfc6962.DefaultHasher, p.Index, checkpoint.Size, leaf, path, checkpoint.Hash)
}

// open returns the checkpoint if one of the logs that the policy lists has signed it.
func open(signed, policy []byte) (*log.Checkpoint, error) {
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
		checkpoint, _, _, err := log.ParseCheckpoint(signed, verifier.Name(), verifier)
		if err == nil {
			return checkpoint, nil
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no log of the policy has signed the checkpoint")
}
