//! An update of the tree, in two passes: from the top down for its new shape, and from the bottom up for its hashes.
//!
//! Branches of one depth do not depend on each other, so they are hashed together; so are all leaves, before.

#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::hint::black_box;

use super::{Change, Content, Key, Number, Store, Subtree, bit};
use crate::sha256::Hash;

/// At this many changes or fewer to one subtree, its nodes on their paths are loaded together before they are needed.
const LOADED_TOGETHER: usize = 64;

/// Stands for the hash of a new branch until it is known: no bytes are known that hash to it.
const UNHASHED: Hash = [0; 32];

/// The subtree below `top` after `changes`, which are sorted, and place and birth of every node it no longer has.
pub(super) fn apply(store: &mut Store, top: Subtree, changes: &[Change]) -> (Subtree, Vec<(u32, Number)>) {
    let changes = hash_leaves(store, changes);
    let mut update = Update { store, superseded: Vec::new(), branches: Vec::new() };
    let top = match update.apply(top, &changes, 0) {
        None => top,
        Some(new) => update.hash_branches(new),
    };
    (top, update.superseded)
}

/// A change, and the leaf that it puts.
type HashedChange = (Key, Option<Leaf>);

struct Leaf {
    value: Hash,
    hash: Hash,
}

/// The changes with the hashes of the leaves that they put.
fn hash_leaves(store: &Store, changes: &[Change]) -> Vec<HashedChange> {
    let pairs: Vec<_> = changes.iter().filter_map(|(key, value)| Some(pair(key, value.as_ref()?))).collect();
    let mut hashes = store.tags.leaf.hash_all(&pairs).into_iter();
    let mut leaf = |value| Leaf { value, hash: hashes.next().expect("each value has been hashed with its key") };
    changes.iter().map(|&(key, value)| (key, value.map(&mut leaf))).collect()
}

/// What a leaf and a branch hash after their tags.
pub(super) fn pair(first: &Hash, second: &Hash) -> [u8; 64] {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(first);
    pair[32..].copy_from_slice(second);
    pair
}

/// An update under way.
struct Update<'s> {
    store: &'s mut Store,
    /// As for a version.
    superseded: Vec<(u32, Number)>,
    /// The places of the new branches by depth, and those of one depth from left to right.
    branches: Vec<Vec<u32>>,
}

impl Update<'_> {
    /// The subtree at `depth` after `changes`, which are sorted and all belong there; `None` if they change nothing.
    fn apply(&mut self, subtree: Subtree, changes: &[HashedChange], depth: usize) -> Option<Subtree> {
        if changes.is_empty() {
            return None;
        }
        match self.store.content(subtree) {
            None => {
                let leaves: Vec<_> = changes.iter().filter_map(|change| self.leaf_of(change)).collect();
                (!leaves.is_empty()).then(|| self.build(&leaves, depth))
            }
            Some(&Content::Leaf { key, value }) => self.apply_to_leaf(subtree, (key, value), changes, depth),
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
                let new_left = self.apply(left, to_left, depth + 1);
                let new_right = self.apply(right, to_right, depth + 1);
                if new_left.is_none() && new_right.is_none() {
                    return None;
                }
                self.supersede(subtree);
                Some(self.join(new_left.unwrap_or(left), new_right.unwrap_or(right), depth))
            }
        }
    }

    /// As `apply`, where a single leaf stands: it stays unless a change names its key.
    fn apply_to_leaf(
        &mut self,
        leaf: Subtree,
        (key, value): (Key, Hash),
        changes: &[HashedChange],
        depth: usize,
    ) -> Option<Subtree> {
        let mut leaves = Vec::with_capacity(changes.len() + 1);
        let mut old = Some((key, leaf));
        for change in changes {
            match (change.0.cmp(&key), &change.1) {
                (Ordering::Greater, _) => leaves.extend(old.take()),
                (Ordering::Equal, Some(new)) if new.value == value => continue,
                (Ordering::Equal, _) => {
                    self.supersede(leaf);
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
                self.join(left, right, depth)
            }
        }
    }

    /// The subtree at `depth` with these halves: a branch, unless a single leaf or nothing is left.
    fn join(&mut self, left: Subtree, right: Subtree, depth: usize) -> Subtree {
        for (half, other) in [(left, right), (right, left)] {
            if half.is_empty() && !matches!(self.store.content(other), Some(Content::Branch { .. })) {
                return other;
            }
        }
        let branch = self.store.add_node(UNHASHED, Content::Branch { left, right });
        if self.branches.len() <= depth {
            self.branches.resize_with(depth + 1, Vec::new);
        }
        self.branches[depth].push(branch.place);
        branch
    }

    /// The leaf that a change puts; `None` if it deletes.
    fn leaf_of(&mut self, (key, leaf): &HashedChange) -> Option<(Key, Subtree)> {
        let &Leaf { value, hash } = leaf.as_ref()?;
        Some((*key, self.store.add_node(hash, Content::Leaf { key: *key, value })))
    }

    fn supersede(&mut self, subtree: Subtree) {
        self.superseded.push((subtree.place, self.store.nodes[subtree.place as usize].born));
    }

    /// Hashes the new branches, the lowest first, and returns `top` with its hash.
    fn hash_branches(&mut self, mut top: Subtree) -> Subtree {
        let mut hashes = Vec::new();
        for places in self.branches.iter().rev() {
            // New branches of the depth below, in the order in which this depth meets them.
            let mut below = hashes.into_iter();
            let mut hash_half = |half: &mut Subtree| {
                if is_unhashed(half) {
                    half.hash = below.next().expect("the branches below are hashed");
                }
            };
            let mut pairs = Vec::with_capacity(places.len());
            for &place in places {
                if let Content::Branch { left, right } = &mut self.store.nodes[place as usize].content {
                    hash_half(left);
                    hash_half(right);
                    pairs.push(pair(&left.hash, &right.hash));
                }
            }
            hashes = self.store.tags.node.hash_all(&pairs);
        }
        if is_unhashed(&top) {
            top.hash = hashes[0];
        }
        top
    }

    /// Reads the nodes on the paths of `changes`, level by level.
    ///
    /// One path is a chain of reads that each wait for the one before; many paths at once wait together.
    fn load(&self, subtree: Subtree, changes: &[HashedChange], mut depth: usize) {
        let mut paths: Vec<_> = changes.iter().map(|(key, _)| (key, subtree)).collect();
        while !paths.is_empty() {
            paths.retain_mut(|(key, subtree)| match self.store.content(*subtree) {
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

/// Whether it is a branch that the update has made and not hashed.
fn is_unhashed(subtree: &Subtree) -> bool {
    !subtree.is_empty() && subtree.hash == UNHASHED
}
