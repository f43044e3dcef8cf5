//! A verdict for every signature of a batch, whichever backend does the arithmetic.

#![forbid(unsafe_code)]

use std::ops::Range;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

use crate::backend::{Backend, Item, Prepared};
use crate::portable::accepts;

/// A failed range of at most this many is verified one by one: so short an equation costs nearly as much as its parts.
const ONE_BY_ONE: usize = 16;

/// Says of each item, in order, whether ZIP-215 accepts it.
///
/// `entropy` is the secret that makes the verdict sound: whoever signed must not have been able to foresee it. The same
/// entropy and items always give the same verdicts; other entropy gives others with a probability of 2^-128 at most.
///
/// A batch of valid signatures costs one equation. One bad signature of n adds the equations over both halves, then over
/// both halves of the bad one, and so on: at most twice as much again, and nothing is decoded or hashed twice. The last
/// few are verified one by one, as is a batch of one. Where many are bad a search would only add to that: a range of
/// which two signatures, drawn at random, are both bad is verified one by one.
pub fn verify(backend: &dyn Backend, items: &[Item<'_>], entropy: &[u8; 32]) -> Vec<bool> {
    if let [only] = items {
        return vec![accepts(only)];
    }
    let randomisers = randomisers(entropy, items.len());
    verdicts_of(&*backend.prepare(items, &randomisers), items, &randomisers)
}

/// Says of each item of a prepared batch whether ZIP-215 accepts it.
pub(crate) fn verdicts_of(prepared: &dyn Prepared, items: &[Item<'_>], randomisers: &[u128]) -> Vec<bool> {
    let verdicts = (0..items.len()).map(|index| prepared.is_well_formed(index)).collect();
    let is_valid = |index: usize| accepts(&items[index]);
    let mut search = Search { batch: prepared, is_valid: &is_valid, randomisers, verdicts };
    search.settle(0..items.len(), false);
    search.verdicts
}

/// Expands `entropy` to a z for each item: the key stream of ChaCha20 (RFC 8439) under it, 16 bytes little-endian each.
pub(crate) fn randomisers(entropy: &[u8; 32], count: usize) -> Vec<u128> {
    let mut stream = vec![0; 16 * count];
    // Entropy is used for one batch, so there is one stream for a key and the nonce has nothing to tell apart.
    ChaCha20::new(entropy.into(), &[0; 12].into()).apply_keystream(&mut stream);
    stream.chunks_exact(16).map(|block| u128::from_le_bytes(block.try_into().expect("16 bytes"))).collect()
}

/// The search for the bad signatures of a batch.
struct Search<'a> {
    batch: &'a dyn Prepared,
    /// Decides about one signature by itself.
    is_valid: &'a dyn Fn(usize) -> bool,
    /// Nobody who signed knew them, so nobody has placed bad signatures where they make a search look.
    randomisers: &'a [u128],
    /// Of those that are well-formed, true until found bad.
    verdicts: Vec<bool>,
}

impl Search<'_> {
    /// Turns the verdict of every bad signature in `range` to false; returns whether there is none.
    ///
    /// With `is_broken` the caller knows already that the equation over `range` does not hold: it fails over the whole
    /// and holds over the other half, and the one is the sum of the two.
    fn settle(&mut self, range: Range<usize>, is_broken: bool) -> bool {
        if !is_broken && self.batch.holds(range.clone()) {
            return true;
        }
        if range.len() <= ONE_BY_ONE || self.is_mostly_bad(&range) {
            for index in range {
                self.verdicts[index] = self.verdicts[index] && (self.is_valid)(index);
            }
        } else {
            let middle = range.start + range.len() / 2;
            let left_holds = self.settle(range.start..middle, false);
            self.settle(middle..range.end, left_holds);
        }
        false
    }

    /// Whether two signatures of a broken range, drawn at random, are both bad.
    fn is_mostly_bad(&self, range: &Range<usize>) -> bool {
        let drawn = self.randomisers[range.start];
        [drawn as u64, (drawn >> 64) as u64].into_iter().all(|word| {
            let index = range.start + (word % range.len() as u64) as usize;
            // What is not well-formed costs nothing, and says nothing of the others.
            self.verdicts[index] && !(self.is_valid)(index)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use super::*;

    /// A batch whose bad signatures are known, and which counts what it is asked.
    struct Known {
        malformed: Vec<usize>,
        bad: BTreeSet<usize>,
        size_sum: Cell<usize>,
    }

    impl Prepared for Known {
        fn is_well_formed(&self, index: usize) -> bool {
            !self.malformed.contains(&index)
        }

        fn holds(&self, range: Range<usize>) -> bool {
            self.size_sum.set(self.size_sum.get() + range.len());
            self.bad.range(range).next().is_none()
        }

        fn have_prime_order_nonces(&self, _: &[usize], _: &[u64]) -> bool {
            unreachable!("only the strict rule asks for it")
        }
    }

    fn verdicts_of(count: usize, malformed: &[usize], bad: &[usize]) -> (Vec<usize>, usize) {
        let (verdicts, size_sum, _) = searched(count, malformed, bad);
        (verdicts, size_sum)
    }

    /// The bad ones, the sizes of all equations together, and how many signatures were verified by themselves.
    fn searched(count: usize, malformed: &[usize], bad: &[usize]) -> (Vec<usize>, usize, usize) {
        let bad: BTreeSet<usize> = bad.iter().copied().collect();
        let batch = Known { malformed: malformed.into(), bad: bad.clone(), size_sum: 0.into() };
        let verdicts = (0..count).map(|index| batch.is_well_formed(index)).collect::<Vec<_>>();
        let singles = Cell::new(0);
        let is_valid = |index| {
            singles.set(singles.get() + 1);
            !bad.contains(&index)
        };
        let randomisers = randomisers(&[7; 32], count);
        let mut search = Search { batch: &batch, is_valid: &is_valid, randomisers: &randomisers, verdicts };
        search.settle(0..count, false);
        let found = (0..count).filter(|&index| !search.verdicts[index]).collect();
        (found, batch.size_sum.get(), singles.get())
    }

    #[test]
    fn exactly_the_bad_signatures_are_found_wherever_they_are() {
        for count in [1, 2, 3, 5, 64, 1000] {
            for bad in [vec![], vec![0], vec![count - 1], vec![count / 2], (0..count).collect(), vec![0, count / 3]] {
                let mut expected = bad.clone();
                expected.dedup();
                assert_eq!(verdicts_of(count, &[], &bad).0, expected, "{count} signatures");
            }
        }
    }

    #[test]
    fn a_malformed_signature_is_refused_without_a_search() {
        assert_eq!(verdicts_of(1000, &[3, 999], &[]), (vec![3, 999], 1000));
        assert_eq!(verdicts_of(1000, &[3, 999], &[500]).0, [3, 500, 999]);
    }

    #[test]
    fn one_bad_signature_adds_at_most_twice_the_equation_over_all() {
        for bad in [0, 4_321, 9_999] {
            assert!(verdicts_of(10_000, &[], &[bad]).1 <= 30_000);
        }
    }

    #[test]
    fn a_search_adds_little_to_verifying_each_by_itself_where_many_are_bad() {
        let all = (0..10_000).collect::<Vec<_>>();
        assert_eq!(searched(10_000, &[], &all), (all.clone(), 10_000, 10_002));
        for every in [2, 3, 5] {
            let bad = (0..10_000).step_by(every).collect::<Vec<_>>();
            let (found, size_sum, singles) = searched(10_000, &[], &bad);
            assert_eq!(found, bad);
            assert!(size_sum <= 100_000 && singles <= 12_500, "every {every}: {size_sum} and {singles}");
        }
    }

    #[test]
    fn randomisers_are_the_key_stream_of_rfc_8439() {
        // Appendix A.1, test vector 1: the block for the key, nonce and counter of zeros.
        let first = u128::from_le_bytes([
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
        ]);
        assert_eq!(randomisers(&[0; 32], 3)[0], first);
    }
}
