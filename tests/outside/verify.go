// Verify checks heads and proofs of an audit log with the packages that verify
// Go's own checksum database, golang.org/x/mod/sumdb/note and tlog.
//
//	verify head KEY NOTE
//	verify inclusion KEY PROOF
//	verify consistency KEY OLD_NOTE PROOF
//	verify handover KEYS NOTE
//	verify cosignature KEYS NOTE
//	verify tiles KEY FOLDER
//
// KEYS has one key on each line: the old and the new one of a hand-over, the log's and
// the witness's of a cosignature. All arguments but FOLDER are files. It exits with 0 if what it was given holds, with 1
// and a reason if not. Only the text is taken apart here; what decides is theirs.
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	if args[0] == "tiles" {
		return checkTiles(args[1], args[2])
	}
	files := make([][]byte, 0, len(args))
	for _, name := range args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, content)
	}
	keys := strings.Fields(string(files[0]))
	verifier, err := note.NewVerifier(keys[0])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "handover" && len(files) == 2 && len(keys) == 2:
		return checkHandover(files[1], verifier, keys[1])
	case args[0] == "cosignature" && len(files) == 2 && len(keys) == 2:
		return checkCosignature(files[1], verifier, keys[1])
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

// checkHandover checks that both keys have signed, and that the text names them.
func checkHandover(text []byte, older note.Verifier, newKey string) error {
	newer, err := note.NewVerifier(newKey)
	if err != nil {
		return err
	}
	for _, verifier := range []note.Verifier{older, newer} {
		opened, err := note.Open(text, note.VerifierList(verifier))
		if err != nil {
			return err
		}
		lines := strings.Split(opened.Text, "\n")
		if len(lines) != 7 || lines[0] != older.Name() || lines[3] != "new "+newKey {
			return errors.New("no hand-over between these keys")
		}
	}
	return nil
}

// A witness signs something else than the text of the note, and under another type of key. The
// package leaves that to whoever verifies; the signature is for crypto/ed25519 to check.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, []byte(signed), signature[8:])
}

func checkCosignature(text []byte, verifier note.Verifier, witnessKey string) error {
	if _, err := openHead(text, verifier); err != nil {
		return err
	}
	parts := strings.SplitN(witnessKey, "+", 3)
	if len(parts) != 3 {
		return errors.New("no key of a witness")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return errors.New("no key for cosignatures")
	}
	_, err = note.Open(text, note.VerifierList(witness{parts[0], uint32(hash), ed25519.PublicKey(key[1:])}))
	return err
}

// tiles reads a directory of tiles; in C2SP's layout the height, which is always 8, is not in the path.
type tiles struct{ folder string }

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, 0, len(wanted))
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		content, err := os.ReadFile(filepath.Join(t.folder, filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

// checkTiles checks that all tiles lead to the signed root, and that all entries are what was hashed.
func checkTiles(keyFile, folder string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	head, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openHead(head, verifier)
	if err != nil {
		return err
	}
	places := make([]int64, tree.N)
	for at := range places {
		places[at] = tlog.StoredHashIndex(0, int64(at))
	}
	hashes, err := tlog.TileHashReader(tree, tiles{folder}).ReadHashes(places)
	if err != nil {
		return err
	}
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(width)}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
		if err != nil {
			return err
		}
		for at := first; at < first+int64(tile.W); at++ {
			if len(content) < 2 || len(content) < 2+int(binary.BigEndian.Uint16(content)) {
				return errors.New("an entry is cut off")
			}
			size := 2 + int(binary.BigEndian.Uint16(content))
			if tlog.RecordHash(content[2:size]) != hashes[at] {
				return fmt.Errorf("entry %d is not what was hashed", at)
			}
			content = content[size:]
		}
		if len(content) > 0 {
			return errors.New("more entries than the head says")
		}
	}
	return nil
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
