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

mod update;

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sha256::{Hash, Prefix};

/// A 32-byte key. Keys are digests: whoever could choose their bits could grow a path of 256 nodes.
pub type Key = [u8; 32];

/// A new value for a key, or `None` to delete it.
pub type Change = (Key, Option<Hash>);

/// The hash of a subtree without leaves.
const EMPTY: Hash = [0; 32];

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
        let (top, superseded) = update::apply(&mut store, top, &changes);
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
}

#[cfg(test)]
mod tests;
