//! The sparse Merkle tree of `ledger/crypto/sparse_tree.py`: the same roots and the same proofs, in less time and memory.
//!
//! Each bit of a key, highest first, chooses left or right. An empty subtree hashes to 32 zero bytes, and a subtree with a
//! single leaf is that leaf. A tree never changes: an update shares what it does not touch with the tree before.
//!
//! With a million keys the time goes into waiting for memory, so all versions of a tree keep their nodes in one store,
//! where a node names others by number. The hash of a subtree lies beside its number in the branch above, so an update
//! reads the nodes on its paths and nothing else; counting the references to every node would touch all their neighbours.
//! Instead, a node remembers the version it was born in, and a version which nodes of its parent it has superseded. From
//! these follows what is free when a version is dropped.

#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hint::black_box;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sha256::{Hash, Prefix};

/// A 32-byte key. Keys are digests: whoever could choose their bits could grow a path of 256 nodes.
pub type Key = [u8; 32];

/// A new value for a key, or `None` to delete it.
pub type Change = (Key, Option<Hash>);

/// The hash of a subtree without leaves.
const EMPTY: Hash = [0; 32];

/// At this many changes or fewer to one subtree, its nodes on their paths are loaded together before they are needed.
const LOADED_TOGETHER: usize = 64;

/// What is hashed before the two hashes of a leaf (key and value) and of a branch (left and right).
pub struct Tags {
    /// Of leaves.
    pub leaf: Prefix,
    /// Of branches.
    pub node: Prefix,
}

/// One version of the map.
pub struct SparseTree {
    store: Arc<Mutex<Store>>,
    version: Number,
    root: Hash,
}

/// Where a key leads.
pub struct Descent {
    /// Key and value of the leaf that stands there, which can be that of another key; `None` for an empty subtree.
    pub leaf: Option<(Key, Hash)>,
    /// The hashes beside the path, from the top down.
    pub siblings: Vec<Hash>,
}

impl SparseTree {
    /// The empty map.
    pub fn new(tags: Tags) -> Self {
        let mut store = Store { tags, nodes: Vec::new(), free: Vec::new(), versions: HashMap::new(), newest: 0 };
        let version = store.add_version(0, Subtree::EMPTY, Vec::new());
        Self { store: Arc::new(Mutex::new(store)), version, root: EMPTY }
    }

    /// The root; zero bytes for the empty map.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The tree after all changes. Of several changes to one key the last counts.
    pub fn update(&self, mut changes: Vec<Change>) -> Self {
        // Stable, so that changes to one key keep their order; then the last of them is kept.
        changes.sort_by_key(|&(key, _)| key);
        changes.reverse();
        changes.dedup_by_key(|&mut (key, _)| key);
        changes.reverse();
        let mut store = self.lock();
        let top = store.versions[&self.version].top;
        let mut superseded = Vec::new();
        let top = store.apply(top, &changes, 0, &mut superseded).unwrap_or(top);
        let version = store.add_version(self.version, top, superseded);
        Self { store: Arc::clone(&self.store), version, root: top.hash }
    }

    /// Follows the bits of `key` down to a leaf or an empty subtree.
    pub fn descend(&self, key: &Key) -> Descent {
        let store = self.lock();
        let (mut subtree, mut siblings) = (store.versions[&self.version].top, Vec::new());
        loop {
            match store.content(subtree) {
                None => return Descent { leaf: None, siblings },
                Some(&Content::Leaf { key, value }) => return Descent { leaf: Some((key, value)), siblings },
                Some(&Content::Branch { left, right }) => {
                    let (next, sibling) = if bit(key, siblings.len()) { (right, left) } else { (left, right) };
                    siblings.push(sibling.hash);
                    subtree = next;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // Versions that were there before a panic are as they were: nodes are only added until an update is done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SparseTree {
    fn drop(&mut self) {
        self.lock().release(self.version);
    }
}

/// The bit of a key that chooses below `depth` branches; true is right.
fn bit(key: &Key, depth: usize) -> bool {
    key[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// What a leaf and a branch hash after their tags.
fn pair(first: &Hash, second: &Hash) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(first);
    pair[32..].copy_from_slice(second);
    pair
}

/// The number of a version, from 1; a version has a higher one than what it was made from. 0 is before all of them.
type Number = u64;

/// A subtree, as the branch above it or its version knows it.
#[derive(Clone, Copy)]
struct Subtree {
    hash: Hash,
    /// Position of its top node; `NOWHERE` if it is empty.
    place: u32,
}

const NOWHERE: u32 = u32::MAX;

impl Subtree {
    const EMPTY: Self = Self { hash: EMPTY, place: NOWHERE };

    fn is_empty(&self) -> bool {
        self.place == NOWHERE
    }
}

struct Node {
    /// The version that made it. What is below a node is as old or older.
    born: Number,
    content: Content,
}

#[derive(Clone, Copy)]
enum Content {
    Leaf {
        key: Key,
        value: Hash,
    },
    /// Below it are two leaves at least.
    Branch {
        left: Subtree,
        right: Subtree,
    },
}

struct Version {
    /// The nearest version it descends from that is still here; 0 if there is none.
    parent: Number,
    children: Vec<Number>,
    top: Subtree,
    /// Place and birth of every node that belongs to the parent and not to this version.
    superseded: Vec<(u32, Number)>,
    /// Whether a `SparseTree` stands for it. Others stay as long as they have several children.
    is_held: bool,
}

/// All versions that descend from one empty map.
struct Store {
    tags: Tags,
    nodes: Vec<Node>,
    /// Places of `nodes` that no version uses.
    free: Vec<u32>,
    versions: HashMap<Number, Version>,
    newest: Number,
}

impl Store {
    fn add_version(&mut self, parent: Number, top: Subtree, superseded: Vec<(u32, Number)>) -> Number {
        self.newest += 1;
        if let Some(parent) = self.versions.get_mut(&parent) {
            parent.children.push(self.newest);
        }
        let version = Version { parent, children: Vec::new(), top, superseded, is_held: true };
        self.versions.insert(self.newest, version);
        self.newest
    }

    /// Takes back what nobody can reach any more, now that no `SparseTree` stands for the version.
    ///
    /// Of the nodes of a version, those born after its parent belong to it and to its descendants alone.
    fn release(&mut self, number: Number) {
        let version = self.versions.get_mut(&number).expect("a held version is there");
        version.is_held = false;
        match version.children[..] {
            [] => {
                let Version { parent, top, .. } = self.versions.remove(&number).expect("it was there");
                self.free_below(top, parent);
                if let Some(survivor) = self.versions.get_mut(&parent) {
                    survivor.children.retain(|&child| child != number);
                    if !survivor.is_held {
                        self.release(parent);
                    }
                }
            }
            [only] => {
                let Version { parent, mut superseded, .. } = self.versions.remove(&number).expect("it was there");
                let child = self.versions.get_mut(&only).expect("a child is there");
                child.parent = parent;
                for (place, born) in mem::take(&mut child.superseded) {
                    if born > parent {
                        self.free.push(place);
                    } else {
                        superseded.push((place, born));
                    }
                }
                child.superseded = superseded;
                if let Some(survivor) = self.versions.get_mut(&parent) {
                    survivor.children.iter_mut().filter(|child| **child == number).for_each(|child| *child = only);
                }
            }
            _ => {}
        }
    }

    /// Frees the nodes of `subtree` that were born after version `parent`.
    fn free_below(&mut self, subtree: Subtree, parent: Number) {
        let mut open = vec![subtree];
        while let Some(subtree) = open.pop() {
            let Some(node) = self.nodes.get(subtree.place as usize).filter(|node| node.born > parent) else { continue };
            if let Content::Branch { left, right } = node.content {
                open.extend([left, right]);
            }
            self.free.push(subtree.place);
        }
    }

    /// None for the empty subtree.
    fn content(&self, subtree: Subtree) -> Option<&Content> {
        self.nodes.get(subtree.place as usize).map(|node| &node.content)
    }

    /// Adds a node of the version that is being made.
    fn add_node(&mut self, hash: Hash, content: Content) -> Subtree {
        let node = Node { born: self.newest + 1, content };
        let place = self.free.pop().unwrap_or_else(|| {
            let place = u32::try_from(self.nodes.len()).ok().filter(|&place| place != NOWHERE);
            place.expect("a store has fewer than 2^32 - 1 nodes")
        });
        match self.nodes.get_mut(place as usize) {
            Some(unused) => *unused = node,
            None => self.nodes.push(node),
        }
        Subtree { hash, place }
    }

    /// The subtree at `depth` after `changes`, which are sorted and all belong there; `None` if they change nothing.
    fn apply(
        &mut self,
        subtree: Subtree,
        changes: &[Change],
        depth: usize,
        superseded: &mut Vec<(u32, Number)>,
    ) -> Option<Subtree> {
        if changes.is_empty() {
            return None;
        }
        match self.content(subtree) {
            None => {
                let leaves: Vec<_> = changes.iter().filter_map(|change| self.leaf_of(change)).collect();
                (!leaves.is_empty()).then(|| self.build(&leaves, depth))
            }
            Some(&Content::Leaf { key, value }) => {
                self.apply_to_leaf(subtree, (key, value), changes, depth, superseded)
            }
            Some(&Content::Branch { left, right }) => {
                let middle = changes.partition_point(|(key, _)| !bit(key, depth));
                let (to_left, to_right) = changes.split_at(middle);
                if changes.len() > LOADED_TOGETHER {
                    for (half, changes) in [(left, to_left), (right, to_right)] {
                        if changes.len() <= LOADED_TOGETHER {
                            self.load(half, changes, depth + 1);
                        }
                    }
                }
                let new_left = self.apply(left, to_left, depth + 1, superseded);
                let new_right = self.apply(right, to_right, depth + 1, superseded);
                if new_left.is_none() && new_right.is_none() {
                    return None;
                }
                superseded.push((subtree.place, self.nodes[subtree.place as usize].born));
                Some(self.join(new_left.unwrap_or(left), new_right.unwrap_or(right)))
            }
        }
    }

    /// As `apply`, where a single leaf stands: it stays unless a change names its key.
    fn apply_to_leaf(
        &mut self,
        leaf: Subtree,
        (key, value): (Key, Hash),
        changes: &[Change],
        depth: usize,
        superseded: &mut Vec<(u32, Number)>,
    ) -> Option<Subtree> {
        let mut leaves = Vec::with_capacity(changes.len() + 1);
        let mut old = Some((key, leaf));
        for change in changes {
            match (change.0.cmp(&key), &change.1) {
                (Ordering::Greater, _) => leaves.extend(old.take()),
                (Ordering::Equal, Some(new)) if *new == value => continue,
                (Ordering::Equal, _) => {
                    superseded.push((leaf.place, self.nodes[leaf.place as usize].born));
                    old = None;
                }
                (Ordering::Less, _) => {}
            }
            leaves.extend(self.leaf_of(change));
        }
        leaves.extend(old);
        let is_unchanged = matches!(leaves[..], [(_, only)] if only.place == leaf.place);
        (!is_unchanged).then(|| self.build(&leaves, depth))
    }

    /// The subtree at `depth` with exactly these leaves, which are sorted by their keys.
    fn build(&mut self, leaves: &[(Key, Subtree)], depth: usize) -> Subtree {
        match leaves {
            [] => Subtree::EMPTY,
            [(_, only)] => *only,
            _ => {
                let (left, right) = leaves.split_at(leaves.partition_point(|(key, _)| !bit(key, depth)));
                let (left, right) = (self.build(left, depth + 1), self.build(right, depth + 1));
                self.join(left, right)
            }
        }
    }

    /// The subtree with these halves: a branch, unless a single leaf or nothing is left.
    fn join(&mut self, left: Subtree, right: Subtree) -> Subtree {
        for (half, other) in [(left, right), (right, left)] {
            if half.is_empty() && !matches!(self.content(other), Some(Content::Branch { .. })) {
                return other;
            }
        }
        let hash = self.tags.node.hash(&pair(&left.hash, &right.hash));
        self.add_node(hash, Content::Branch { left, right })
    }

    /// The leaf that a change puts; `None` if it deletes.
    fn leaf_of(&mut self, &(key, value): &Change) -> Option<(Key, Subtree)> {
        let value = value?;
        let hash = self.tags.leaf.hash(&pair(&key, &value));
        Some((key, self.add_node(hash, Content::Leaf { key, value })))
    }

    /// Reads the nodes on the paths of `changes`, level by level.
    ///
    /// One path is a chain of reads that each wait for the one before; many paths at once wait together.
    fn load(&self, subtree: Subtree, changes: &[Change], mut depth: usize) {
        let mut paths: Vec<_> = changes.iter().map(|(key, _)| (key, subtree)).collect();
        while !paths.is_empty() {
            paths.retain_mut(|(key, subtree)| match self.content(*subtree) {
                Some(&Content::Branch { left, right }) => {
                    *subtree = if bit(key, depth) { right } else { left };
                    true
                }
                end => {
                    black_box(end.is_some());
                    false
                }
            });
            depth += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sha2::{Digest, Sha256};

    use super::*;

    fn empty() -> SparseTree {
        SparseTree::new(Tags { leaf: Prefix::new(b"leaf\0"), node: Prefix::new(b"node\0") })
    }

    /// The root as the module's first lines define it.
    fn root_by_definition(tags: &Tags, content: &[(Key, Hash)], depth: usize) -> Hash {
        match content {
            [] => EMPTY,
            [(key, value)] => tags.leaf.hash(&pair(key, value)),
            _ => {
                let (left, right): (Vec<_>, Vec<_>) = content.iter().partition(|(key, _)| !bit(key, depth));
                let (left, right) =
                    (root_by_definition(tags, &left, depth + 1), root_by_definition(tags, &right, depth + 1));
                tags.node.hash(&pair(&left, &right))
            }
        }
    }

    /// Keys that share long prefixes, and keys that do not.
    fn key(number: u32) -> Key {
        if number.is_multiple_of(3) {
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
            let root_before = tree.root();
            let after = tree.update(changes.clone());
            assert_eq!(tree.root(), root_before);
            tree = after;
            for (key, value) in changes {
                match value {
                    Some(value) => content.insert(key, value),
                    None => content.remove(&key),
                };
            }
            let items: Vec<_> = content.clone().into_iter().collect();
            assert_eq!(tree.root(), root_by_definition(&tree.lock().tags, &items, 0));
            for (key, value) in items {
                assert_eq!(tree.descend(&key).leaf, Some((key, value)));
            }
        }
    }

    /// How many nodes a map of this content needs.
    fn nodes_needed(content: &BTreeMap<Key, Hash>) -> usize {
        let tree = empty().update(content.iter().map(|(key, value)| (*key, Some(*value))).collect());
        let store = tree.lock();
        store.nodes.len() - store.free.len()
    }

    fn nodes_used(tree: &SparseTree) -> usize {
        let store = tree.lock();
        let free: BTreeSet<_> = store.free.iter().collect();
        assert_eq!(free.len(), store.free.len(), "a place is free twice");
        store.nodes.len() - free.len()
    }

    #[test]
    fn changes_that_change_nothing_make_no_node() {
        let content: BTreeMap<_, _> = (0..100).map(|number| (key(number), Some([number as u8; 32]))).collect();
        let tree = empty().update(content.clone().into_iter().collect());
        let absent: Vec<Change> = (1000..1100).map(|number| (key(3 * number + 1), None)).collect();
        let used = nodes_used(&tree);
        for changes in [vec![], absent, content.into_iter().collect()] {
            let same = tree.update(changes);
            assert_eq!((same.root(), nodes_used(&tree)), (tree.root(), used));
        }
    }

    #[test]
    fn whatever_is_dropped_the_others_stay_whole_and_nothing_is_kept_for_nobody() {
        let mut state = 7_u32;
        let mut next = move |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        let mut held = vec![(empty(), BTreeMap::new())];
        for _ in 0..3_000 {
            // Branches of history: any version that is held can be updated again.
            let (tree, content) = &held[next(held.len())];
            let mut content = content.clone();
            let changes: Vec<Change> = (0..next(8))
                .map(|_| (key(next(40) as u32), (next(3) != 0).then(|| Sha256::digest([next(4) as u8]).into())))
                .collect();
            for (key, value) in &changes {
                match value {
                    Some(value) => content.insert(*key, *value),
                    None => content.remove(key),
                };
            }
            let tree = tree.update(changes);
            held.push((tree, content));
            while held.len() > 1 + next(6) {
                held.swap_remove(next(held.len()));
            }
            for (tree, content) in &held {
                for (key, value) in content {
                    assert_eq!(tree.descend(key).leaf, Some((*key, *value)));
                }
                let items: Vec<_> = content.clone().into_iter().collect();
                assert_eq!(tree.root(), root_by_definition(&tree.lock().tags, &items, 0));
            }
            if let [(only, content)] = &held[..] {
                assert_eq!(nodes_used(only), nodes_needed(content));
                assert_eq!(only.lock().versions.len(), 1);
            }
        }
    }
}
