// Verify checks heads and proofs of an audit log with the packages that verify
// Go's own checksum database, golang.org/x/mod/sumdb/note and tlog.
//
//	verify head KEY NOTE
//	verify inclusion KEY PROOF
//	verify consistency KEY OLD_NOTE PROOF
//
// All arguments are files. It exits with 0 if what it was given holds, with 1
// and a reason if not. Only the text is taken apart here; what decides is theirs.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: verify head|inclusion|consistency KEY FILE...")
	}
	files := make([][]byte, 0, len(args))
	for _, name := range args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, content)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(files[0])))
	if err != nil {
		return err
	}
	switch {
	case args[0] == "head" && len(files) == 2:
		_, err = openHead(files[1], verifier)
		return err
	case args[0] == "inclusion" && len(files) == 2:
		return checkInclusion(files[1], verifier)
	case args[0] == "consistency" && len(files) == 3:
		return checkConsistency(files[1], files[2], verifier)
	}
	return errors.New("unknown command")
}

// openHead returns the tree that a checkpoint describes, if the key has signed it.
func openHead(text []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func checkInclusion(text []byte, verifier note.Verifier) error {
	lines, tree, err := split(text, verifier)
	if err != nil {
		return err
	}
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("no inclusion proof")
	}
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	path, err := hashes(lines[3:])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

func checkConsistency(oldHead, text []byte, verifier note.Verifier) error {
	older, err := openHead(oldHead, verifier)
	if err != nil {
		return err
	}
	lines, tree, err := split(text, verifier)
	if err != nil {
		return err
	}
	if lines[0] != fmt.Sprintf("old %d", older.N) {
		return errors.New("the proof is about another head")
	}
	path, err := hashes(lines[1:])
	if err != nil {
		return err
	}
	return tlog.CheckTree(tlog.TreeProof(path), tree.N, tree.Hash, older.N, older.Hash)
}

// split returns the lines above the checkpoint of a proof, and its tree.
func split(text []byte, verifier note.Verifier) ([]string, tlog.Tree, error) {
	above, checkpoint, found := bytes.Cut(text, []byte("\n\n"))
	if !found {
		return nil, tlog.Tree{}, errors.New("no checkpoint below the proof")
	}
	tree, err := openHead(checkpoint, verifier)
	return strings.Split(string(above), "\n"), tree, err
}

func hashes(lines []string) (tlog.RecordProof, error) {
	path := tlog.RecordProof{}
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		path = append(path, hash)
	}
	return path, nil
}
