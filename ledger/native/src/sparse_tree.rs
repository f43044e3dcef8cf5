//! The sparse Merkle tree of `ledger/crypto/sparse_tree.py`: the same roots and the same proofs, in less time and memory.
//!
//! Each bit of a key, highest first, chooses left or right. An empty subtree hashes to 32 zero bytes, and a subtree with a
//! single leaf is that leaf. A tree never changes: an update shares what it does not touch with the tree before.

use std::cmp::Ordering;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// A 32-byte key. Keys are digests: whoever could choose their bits could grow a path of 256 nodes.
pub type Key = [u8; 32];

/// A new value for a key, or `None` to delete it.
pub type Change = (Key, Option<Hash>);

/// The hash of a subtree without leaves.
const EMPTY: Hash = [0; 32];

/// What is hashed before the two hashes of a leaf (key and value) and of a branch (left and right).
#[derive(Clone)]
pub struct Tags {
    /// Of leaves.
    pub leaf: Vec<u8>,
    /// Of branches.
    pub node: Vec<u8>,
}

/// One version of the map.
#[derive(Clone)]
pub struct SparseTree {
    tags: Arc<Tags>,
    top: Subtree,
}

/// Where a key leads.
pub struct Descent {
    /// Key and value of the leaf that stands there, which can be that of another key; `None` for an empty subtree.
    pub leaf: Option<(Key, Hash)>,
    /// The hashes beside the path, from the top down.
    pub siblings: Vec<Hash>,
}

#[derive(Clone)]
enum Subtree {
    Empty,
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

struct Leaf {
    hash: Hash,
    key: Key,
    value: Hash,
}

/// Below a branch are two leaves at least.
struct Branch {
    hash: Hash,
    left: Subtree,
    right: Subtree,
}

impl SparseTree {
    /// The empty map.
    pub fn new(tags: Tags) -> Self {
        Self { tags: Arc::new(tags), top: Subtree::Empty }
    }

    /// The root; zero bytes for the empty map.
    pub fn root(&self) -> Hash {
        *self.top.hash()
    }

    /// The tree after all changes. Of several changes to one key the last counts.
    pub fn update(&self, mut changes: Vec<Change>) -> Self {
        // Stable, so that changes to one key keep their order; then the last of them is kept.
        changes.sort_by_key(|&(key, _)| key);
        changes.reverse();
        changes.dedup_by_key(|&mut (key, _)| key);
        changes.reverse();
        let top = self.tags.apply(&self.top, &changes, 0).unwrap_or_else(|| self.top.clone());
        Self { tags: Arc::clone(&self.tags), top }
    }

    /// Follows the bits of `key` down to a leaf or an empty subtree.
    pub fn descend(&self, key: &Key) -> Descent {
        let (mut subtree, mut siblings) = (&self.top, Vec::new());
        while let Subtree::Branch(branch) = subtree {
            let (next, sibling) =
                if bit(key, siblings.len()) { (&branch.right, &branch.left) } else { (&branch.left, &branch.right) };
            siblings.push(*sibling.hash());
            subtree = next;
        }
        let leaf = match subtree {
            Subtree::Leaf(leaf) => Some((leaf.key, leaf.value)),
            _ => None,
        };
        Descent { leaf, siblings }
    }
}

impl Subtree {
    fn hash(&self) -> &Hash {
        match self {
            Self::Empty => &EMPTY,
            Self::Leaf(leaf) => &leaf.hash,
            Self::Branch(branch) => &branch.hash,
        }
    }
}

/// The bit of a key that chooses below `depth` branches; true is right.
fn bit(key: &Key, depth: usize) -> bool {
    key[depth / 8] >> (7 - depth % 8) & 1 == 1
}

impl Tags {
    /// The subtree at `depth` after `changes`, which are sorted and all belong there; `None` if they change nothing.
    fn apply(&self, subtree: &Subtree, changes: &[Change], depth: usize) -> Option<Subtree> {
        if changes.is_empty() {
            return None;
        }
        match subtree {
            Subtree::Empty => {
                let leaves: Vec<_> = changes.iter().filter_map(|change| self.leaf_of(change)).collect();
                (!leaves.is_empty()).then(|| self.build(&leaves, depth))
            }
            Subtree::Leaf(leaf) => self.apply_to_leaf(leaf, changes, depth),
            Subtree::Branch(branch) => {
                let middle = changes.partition_point(|(key, _)| !bit(key, depth));
                let (to_left, to_right) = changes.split_at(middle);
                let left = self.apply(&branch.left, to_left, depth + 1);
                let right = self.apply(&branch.right, to_right, depth + 1);
                if left.is_none() && right.is_none() {
                    return None;
                }
                let left = left.unwrap_or_else(|| branch.left.clone());
                let right = right.unwrap_or_else(|| branch.right.clone());
                Some(self.join(left, right))
            }
        }
    }

    /// As `apply`, where a single leaf stands: it stays unless a change names its key.
    fn apply_to_leaf(&self, leaf: &Arc<Leaf>, changes: &[Change], depth: usize) -> Option<Subtree> {
        let mut leaves = Vec::with_capacity(changes.len() + 1);
        let mut old = Some(leaf);
        for change in changes {
            match (change.0.cmp(&leaf.key), &change.1) {
                (Ordering::Greater, _) => leaves.extend(old.take().cloned()),
                (Ordering::Equal, Some(value)) if *value == leaf.value => continue,
                (Ordering::Equal, _) => old = None,
                (Ordering::Less, _) => {}
            }
            leaves.extend(self.leaf_of(change));
        }
        leaves.extend(old.cloned());
        let is_unchanged = matches!(&leaves[..], [only] if Arc::ptr_eq(only, leaf));
        (!is_unchanged).then(|| self.build(&leaves, depth))
    }

    /// The subtree at `depth` with exactly these leaves, which are sorted.
    fn build(&self, leaves: &[Arc<Leaf>], depth: usize) -> Subtree {
        match leaves {
            [] => Subtree::Empty,
            [only] => Subtree::Leaf(Arc::clone(only)),
            _ => {
                let (left, right) = leaves.split_at(leaves.partition_point(|leaf| !bit(&leaf.key, depth)));
                self.join(self.build(left, depth + 1), self.build(right, depth + 1))
            }
        }
    }

    /// The subtree with these halves: a branch, unless a single leaf or nothing is left.
    fn join(&self, left: Subtree, right: Subtree) -> Subtree {
        match (left, right) {
            (Subtree::Empty, only @ (Subtree::Empty | Subtree::Leaf(_))) => only,
            (only @ Subtree::Leaf(_), Subtree::Empty) => only,
            (left, right) => {
                let hash = hash_pair(&self.node, left.hash(), right.hash());
                Subtree::Branch(Arc::new(Branch { hash, left, right }))
            }
        }
    }

    /// The leaf that a change puts; `None` if it deletes.
    fn leaf_of(&self, &(key, value): &Change) -> Option<Arc<Leaf>> {
        value.map(|value| Arc::new(Leaf { hash: hash_pair(&self.leaf, &key, &value), key, value }))
    }
}

fn hash_pair(tag: &[u8], first: &Hash, second: &Hash) -> Hash {
    Sha256::new().chain_update(tag).chain_update(first).chain_update(second).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn empty() -> SparseTree {
        SparseTree::new(Tags { leaf: b"leaf\0".into(), node: b"node\0".into() })
    }

    /// The root as the module's first lines define it.
    fn root_by_definition(tags: &Tags, content: &[(Key, Hash)], depth: usize) -> Hash {
        match content {
            [] => EMPTY,
            [(key, value)] => hash_pair(&tags.leaf, key, value),
            _ => {
                let (left, right): (Vec<_>, Vec<_>) = content.iter().partition(|(key, _)| !bit(key, depth));
                let (left, right) =
                    (root_by_definition(tags, &left, depth + 1), root_by_definition(tags, &right, depth + 1));
                hash_pair(&tags.node, &left, &right)
            }
        }
    }

    /// Keys that share long prefixes, and keys that do not.
    fn key(number: u32) -> Key {
        if number % 3 == 0 {
            let mut key = [0; 32];
            (key[0], key[31]) = ((number % 7) as u8, (number % 11) as u8);
            return key;
        }
        Sha256::digest(number.to_le_bytes()).into()
    }

    #[test]
    fn roots_and_values_are_those_of_a_plain_map_after_any_changes() {
        let (mut tree, mut content) = (empty(), BTreeMap::new());
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for _ in 0..300 {
            let changes: Vec<Change> = (0..next() % 12)
                .map(|_| (key(next() % 60), (next() % 3 != 0).then(|| Sha256::digest([next() as u8 % 4]).into())))
                .collect();
            let (before, root_before) = (tree.clone(), tree.root());
            tree = tree.update(changes.clone());
            for (key, value) in changes {
                match value {
                    Some(value) => content.insert(key, value),
                    None => content.remove(&key),
                };
            }
            let items: Vec<_> = content.clone().into_iter().collect();
            assert_eq!(tree.root(), root_by_definition(&tree.tags, &items, 0));
            assert_eq!(before.root(), root_before);
            for (key, value) in items {
                assert_eq!(tree.descend(&key).leaf, Some((key, value)));
            }
        }
    }

    #[test]
    fn changes_that_change_nothing_keep_every_node() {
        let content: Vec<Change> = (0..100).map(|number| (key(number), Some([number as u8; 32]))).collect();
        let tree = empty().update(content.clone());
        let absent: Vec<Change> = (1000..1100).map(|number| (key(3 * number + 1), None)).collect();
        let last_of_each: BTreeMap<_, _> = content.into_iter().collect();
        for changes in [vec![], absent, last_of_each.into_iter().collect()] {
            let same = tree.update(changes);
            assert!(matches!((&same.top, &tree.top), (Subtree::Branch(a), Subtree::Branch(b)) if Arc::ptr_eq(a, b)));
        }
    }
}
