//! Decoded public keys, kept from batch to batch: a ledger sees the same few hundred signers over and over.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::Item;

/// Keys of one generation. Two are kept, so a cache of 1 KiB a key stays below 16 MiB whatever a peer sends.
const GENERATION: usize = 8_192;

/// A bounded map from the encoding of a key to what a backend makes of it.
///
/// When the young generation is full it becomes the old one, and the old one is dropped: a key that is asked for again
/// while it is old is young again, so the keys in use survive a flood of others.
pub struct KeyCache<P> {
    generations: Mutex<Generations<P>>,
}

struct Generations<P> {
    young: HashMap<[u8; 32], P>,
    old: HashMap<[u8; 32], P>,
}

/// The distinct signers of a batch.
pub struct Signers<P> {
    /// What the backend made of each distinct encoding, in the order of first use; `None` if it is not a point.
    pub keys: Vec<Option<P>>,
    /// For each item the position of its signer in `keys`.
    pub of_item: Vec<u32>,
}

impl<P: Clone> KeyCache<P> {
    /// An empty cache.
    pub fn new() -> Self {
        Self { generations: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }) }
    }

    /// Finds the distinct signers of `items`; `decode` is called once, for all that the cache does not have.
    ///
    /// Two encodings of one point are two signers: the hash is over the bytes as they came.
    pub fn signers(&self, items: &[Item<'_>], decode: impl FnOnce(&[&[u8; 32]]) -> Vec<Option<P>>) -> Signers<P> {
        let mut position_of: HashMap<&[u8; 32], u32> = HashMap::new();
        let mut encodings = Vec::new();
        let of_item = items
            .iter()
            .map(|item| {
                *position_of.entry(item.public).or_insert_with(|| {
                    encodings.push(item.public);
                    u32::try_from(encodings.len() - 1).expect("a batch has fewer than 2^32 signers")
                })
            })
            .collect();
        let mut keys: Vec<Option<P>> = {
            let mut known = self.lock();
            encodings.iter().map(|encoding| known.get(encoding)).collect()
        };
        let unknown: Vec<usize> = (0..keys.len()).filter(|&position| keys[position].is_none()).collect();
        if !unknown.is_empty() {
            // The lock is free while points are decoded, so a batch with many new keys does not hold up another thread.
            let decoded = decode(&unknown.iter().map(|&position| encodings[position]).collect::<Vec<_>>());
            let mut known = self.lock();
            for (position, key) in unknown.into_iter().zip(decoded) {
                if let Some(key) = &key {
                    known.insert(*encodings[position], key.clone());
                }
                keys[position] = key;
            }
        }
        Signers { keys, of_item }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<P>> {
        // A thread that panicked with the lock leaves two maps that are still maps.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Clone> Default for KeyCache<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Clone> Generations<P> {
    fn get(&mut self, encoding: &[u8; 32]) -> Option<P> {
        if let Some(key) = self.young.get(encoding) {
            return Some(key.clone());
        }
        let key = self.old.remove(encoding)?;
        self.insert(*encoding, key.clone());
        Some(key)
    }

    fn insert(&mut self, encoding: [u8; 32], key: P) {
        if self.young.len() == GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(encoding, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(number: u32) -> [u8; 32] {
        let mut encoding = [0; 32];
        encoding[..4].copy_from_slice(&number.to_le_bytes());
        encoding
    }

    fn look_up(cache: &KeyCache<u32>, encodings: &[[u8; 32]]) -> (Signers<u32>, usize) {
        let items: Vec<_> = encodings.iter().map(|public| Item { public, message: b"", signature: &[0; 64] }).collect();
        let calls = std::cell::Cell::new(0);
        let signers = cache.signers(&items, |encodings| {
            calls.set(calls.get() + encodings.len());
            let numbers = encodings.iter().map(|encoding| u32::from_le_bytes(*encoding.first_chunk().unwrap()));
            numbers.map(|number| (number != 13).then_some(number)).collect()
        });
        (signers, calls.get())
    }

    #[test]
    fn a_key_is_decoded_once_for_all_its_items_and_batches() {
        let cache = KeyCache::new();
        let (signers, calls) = look_up(&cache, &[encoding(5), encoding(6), encoding(5)]);
        assert_eq!((signers.keys, signers.of_item, calls), (vec![Some(5), Some(6)], vec![0, 1, 0], 2));
        assert_eq!(look_up(&cache, &[encoding(6)]).1, 0);
    }

    #[test]
    fn what_is_not_a_point_takes_no_place() {
        let cache = KeyCache::new();
        assert_eq!(look_up(&cache, &[encoding(13)]).0.keys, [None]);
        assert_eq!(cache.lock().young.len(), 0);
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_cache_nor_drops_the_keys_in_use() {
        let cache = KeyCache::new();
        look_up(&cache, &[encoding(1)]);
        for flood in 1..10 {
            let start = flood * 5_000;
            look_up(&cache, &(start..start + 5_000).map(encoding).collect::<Vec<_>>());
            assert_eq!(look_up(&cache, &[encoding(1)]).1, 0);
            assert!(cache.lock().young.len() <= GENERATION && cache.lock().old.len() <= GENERATION);
        }
    }
}
