// Package cases carries the cases of a test to a verifier and its verdicts back.
package cases

import (
	"encoding/json"
	"fmt"
	"os"
)

// Case is one proof to judge.
type Case struct {
	Name   string `json:"name"`
	Entry  []byte `json:"entry"`
	Proof  []byte `json:"proof"`
	Policy []byte `json:"policy"`
}

// Verdict is what a verifier says of a case: accepted if Why is empty.
type Verdict struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Judge reads an array of cases from standard input and writes an array of verdicts to standard output.
func Judge(verify func(Case) error) {
	var all []Case
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	verdicts := make([]Verdict, 0, len(all))
	for _, c := range all {
		verdict := Verdict{Name: c.Name}
		if err := verify(c); err != nil {
			verdict.Why = err.Error()
		}
		verdicts = append(verdicts, verdict)
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
