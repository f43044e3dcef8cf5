//! Trees against plain maps, whatever is changed and dropped.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::update::pair;
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
