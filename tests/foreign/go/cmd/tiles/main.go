// Command tiles reads a whole log from its tiles with golang.org/x/mod and checks every entry of it.
//
//	tiles FOLDER
//
// The folder has what a node serves: policy, checkpoint, tile/LEVEL/INDEX and tile/entries/INDEX. The tile reader of
// x/mod believes no tile that does not lead to the checkpoint's root.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mulu.example/tests/foreign/checkpoints"
)

const height = 8

// folder is a tlog.TileReader.
type folder string

func (f folder) Height() int { return height }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		data, err := f.read(fmt.Sprint(tile.L), tile.N, tile.W)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// read returns a tile by its path in C2SP tlog-tiles, which is not that of x/mod.
func (f folder) read(level string, index int64, width int) ([]byte, error) {
	path := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	if width < 1<<height {
		path += fmt.Sprintf(".p/%d", width)
	}
	return os.ReadFile(filepath.Join(string(f), "tile", level, path))
}

func main() {
	count, err := check(folder(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}

func check(f folder) (int64, error) {
	policy, err := os.ReadFile(filepath.Join(string(f), "policy"))
	if err != nil {
		return 0, err
	}
	logs, err := checkpoints.Logs(policy)
	if err != nil {
		return 0, err
	}
	signed, err := os.ReadFile(filepath.Join(string(f), "checkpoint"))
	if err != nil {
		return 0, err
	}
	opened, err := note.Open(signed, logs)
	if err != nil {
		return 0, err
	}
	tree, err := checkpoints.Tree(opened)
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, f)
	for start := int64(0); start < tree.N; start += 1 << height {
		width := min(tree.N-start, 1<<height)
		bundle, err := f.read("entries", start>>height, int(width))
		if err != nil {
			return 0, err
		}
		entries, err := split(bundle)
		if err != nil {
			return 0, err
		}
		if int64(len(entries)) != width {
			return 0, fmt.Errorf("%d entries in a bundle of %d", len(entries), width)
		}
		for offset, entry := range entries {
			index := start + int64(offset)
			path, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return 0, err
			}
			if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				return 0, fmt.Errorf("entry %d: %w", index, err)
			}
		}
	}
	return tree.N, nil
}

func split(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, errors.New("a bundle ends within an entry")
		}
		length := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:length])
		bundle = bundle[length:]
	}
	return entries, nil
}
