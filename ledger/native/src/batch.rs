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
/// few are verified one by one, as is a batch of one.
pub fn verify(backend: &dyn Backend, items: &[Item<'_>], entropy: &[u8; 32]) -> Vec<bool> {
    if let [only] = items {
        return vec![accepts(only)];
    }
    let prepared = backend.prepare(items, &randomisers(entropy, items.len()));
    let mut verdicts = (0..items.len()).map(|index| prepared.is_well_formed(index)).collect::<Vec<_>>();
    settle(&*prepared, &|index| accepts(&items[index]), 0..items.len(), false, &mut verdicts);
    verdicts
}

/// Expands `entropy` to a z for each item: the key stream of ChaCha20 (RFC 8439) under it, 16 bytes little-endian each.
fn randomisers(entropy: &[u8; 32], count: usize) -> Vec<u128> {
    let mut stream = vec![0; 16 * count];
    // Entropy is used for one batch, so there is one stream for a key and the nonce has nothing to tell apart.
    ChaCha20::new(entropy.into(), &[0; 12].into()).apply_keystream(&mut stream);
    stream.chunks_exact(16).map(|block| u128::from_le_bytes(block.try_into().expect("16 bytes"))).collect()
}

/// Turns the verdict of every bad signature in `range` to false; returns whether there is none.
///
/// `is_valid` decides about one signature by itself. With `is_broken` the caller knows already that the equation over
/// `range` does not hold: it fails over the whole and holds over the other half, and the one is the sum of the two.
fn settle(
    batch: &dyn Prepared,
    is_valid: &dyn Fn(usize) -> bool,
    range: Range<usize>,
    is_broken: bool,
    verdicts: &mut [bool],
) -> bool {
    if !is_broken && batch.holds(range.clone()) {
        return true;
    }
    if range.len() <= ONE_BY_ONE {
        for index in range {
            verdicts[index] = verdicts[index] && is_valid(index);
        }
    } else {
        let middle = range.start + range.len() / 2;
        let left_holds = settle(batch, is_valid, range.start..middle, false, verdicts);
        settle(batch, is_valid, middle..range.end, left_holds, verdicts);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A batch whose bad signatures are known, and which counts what it is asked.
    struct Known {
        malformed: Vec<usize>,
        bad: Vec<usize>,
        size_sum: Cell<usize>,
    }

    impl Prepared for Known {
        fn is_well_formed(&self, index: usize) -> bool {
            !self.malformed.contains(&index)
        }

        fn holds(&self, range: Range<usize>) -> bool {
            self.size_sum.set(self.size_sum.get() + range.len());
            !self.bad.iter().any(|index| range.contains(index))
        }
    }

    fn verdicts_of(count: usize, malformed: &[usize], bad: &[usize]) -> (Vec<usize>, usize) {
        let batch = Known { malformed: malformed.into(), bad: bad.into(), size_sum: 0.into() };
        let mut verdicts = (0..count).map(|index| batch.is_well_formed(index)).collect::<Vec<_>>();
        let is_valid = |index| !bad.contains(&index);
        settle(&batch, &is_valid, 0..count, false, &mut verdicts);
        ((0..count).filter(|&index| !verdicts[index]).collect(), batch.size_sum.get())
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
    fn randomisers_are_the_key_stream_of_rfc_8439() {
        // Appendix A.1, test vector 1: the block for the key, nonce and counter of zeros.
        let first = u128::from_le_bytes([
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
        ]);
        assert_eq!(randomisers(&[0; 32], 3)[0], first);
    }
}
