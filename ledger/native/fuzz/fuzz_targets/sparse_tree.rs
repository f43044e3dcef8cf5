//! Updates of several versions of one tree, in any order and with versions dropped in between, against plain maps.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use ledger_native::sha256::{Hash, Prefix};
use ledger_native::sparse_tree::{Change, Key, SparseTree, Tags};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

#[derive(Arbitrary, Debug)]
enum Step {
    /// A new version from one of those there are.
    Update { from: u8, changes: Vec<(ShortKey, Option<u8>)> },
    /// One version is given up.
    Drop(u8),
    /// Where a key leads.
    Descend { on: u8, key: ShortKey },
}

/// Keys that share long prefixes: two bytes, the first at the front and the second at a place of its own choice.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct ShortKey(u8, u8, u8);

const VERSIONS_MAX: usize = 8;

fuzz_target!(|steps: Vec<Step>| {
    let mut versions =
        vec![(SparseTree::new(Tags { leaf: Prefix::new(b"leaf\0"), node: Prefix::new(b"node\0") }), BTreeMap::new())];
    for step in steps {
        match step {
            Step::Update { from, changes } if versions.len() < VERSIONS_MAX => {
                let (tree, content) = &versions[usize::from(from) % versions.len()];
                let changes: Vec<Change> =
                    changes.iter().map(|&(key, value)| (key.whole(), value.map(|byte| [byte; 32]))).collect();
                let mut content: BTreeMap<Key, Hash> = content.clone();
                for &(key, value) in &changes {
                    match value {
                        Some(value) => content.insert(key, value),
                        None => content.remove(&key),
                    };
                }
                let tree = tree.update(changes);
                assert_eq!(tree.root(), root_by_definition(&items_of(&content), 0));
                versions.push((tree, content));
            }
            Step::Drop(which) if versions.len() > 1 => {
                let _ = versions.swap_remove(usize::from(which) % versions.len());
            }
            Step::Descend { on, key } => {
                let (tree, content) = &versions[usize::from(on) % versions.len()];
                check_descent(tree, content, &key.whole());
            }
            Step::Update { .. } | Step::Drop(_) => {}
        }
    }
    for (tree, content) in &versions {
        assert_eq!(tree.root(), root_by_definition(&items_of(content), 0), "a version has changed");
    }
});

impl ShortKey {
    fn whole(self) -> Key {
        let mut key = [0; 32];
        key[0] = self.0;
        key[1 + usize::from(self.1) % 31] = self.2;
        key
    }
}

fn hash_pair(tag: &[u8], first: &Hash, second: &Hash) -> Hash {
    Sha256::new().chain_update(tag).chain_update(first).chain_update(second).finalize().into()
}

fn items_of(content: &BTreeMap<Key, Hash>) -> Vec<(Key, Hash)> {
    content.iter().map(|(key, value)| (*key, *value)).collect()
}

fn goes_right(key: &Key, depth: usize) -> bool {
    key[depth / 8] & (0x80 >> (depth % 8)) != 0
}

/// The root as the first lines of the module define it.
fn root_by_definition(content: &[(Key, Hash)], depth: usize) -> Hash {
    match content {
        [] => [0; 32],
        [(key, value)] => hash_pair(b"leaf\0", key, value),
        _ => {
            let (right, left): (Vec<_>, Vec<_>) = content.iter().partition(|(key, _)| goes_right(key, depth));
            hash_pair(b"node\0", &root_by_definition(&left, depth + 1), &root_by_definition(&right, depth + 1))
        }
    }
}

/// The siblings on the way lead from the leaf to the root, and the leaf is that of the key if the map has it.
fn check_descent(tree: &SparseTree, content: &BTreeMap<Key, Hash>, key: &Key) {
    let found = tree.descend(key);
    match content.get(key) {
        Some(value) => assert_eq!(found.leaf, Some((*key, *value))),
        None => assert!(found.leaf.is_none_or(|(other, value)| other != *key && content[&other] == value)),
    }
    let mut hash = found.leaf.map_or([0; 32], |(key, value)| hash_pair(b"leaf\0", &key, &value));
    for (depth, sibling) in found.siblings.iter().enumerate().rev() {
        let (left, right) = if goes_right(key, depth) { (sibling, &hash) } else { (&hash, sibling) };
        hash = hash_pair(b"node\0", left, right);
    }
    assert_eq!(hash, tree.root());
}
