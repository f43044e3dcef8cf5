//! The backend for processors with AVX-512 IFMA: eight signatures at a time, each in a lane of its own.
//!
//! A library that speeds up one signature leaves most of a batch's work in scalar code. Here every step takes eight:
//!
//! - `field` and `point`: R is decoded for sixteen signatures at once, and kept in the form that additions want.
//! - `sha512`: k = SHA-512(R || A || M). Neither it nor z k is reduced modulo l: the products are summed up for each key
//!   as plain integers, and only the sums are reduced (`scalar`).
//! - `msm`: one sum over all R, all distinct keys and B. A key is kept as A and [2^128]A, so every scalar has 128 bits.
//!
//! Unsafe code is in two places: `lanes` loads and stores registers, and here the kernel is entered.

#![allow(
    clippy::needless_range_loop,
    reason = "an index is a limb or a lane here, and it is what the formulas speak of"
)]

mod field;
mod msm;
mod point;
mod scalar;
mod sha512;

use std::ops::Range;

use self::msm::Term;
use self::point::{Encodings, Niels8, Point8, Record};
use self::scalar::{Scalar, Sum};
use self::sha512::Message;
use crate::backend::{Backend, Item, Prepared};
use crate::key_cache::{KeyCache, Signers};
use crate::lanes::{LANES, LaneMask};

/// Registers of eight points that are decoded together: the steps of one fill the waiting times of the other.
const REGISTERS: usize = 2;

/// The encoding of the base point B: y = 4/5, and x is even.
const BASE_POINT: [u8; 32] = {
    let mut encoding = [0x66; 32];
    encoding[0] = 0x58;
    encoding
};

/// A point P as P and [2^128]P.
type KeyRecords = [Record; 2];

/// Batch verification with AVX-512 IFMA. That there is a value of this type shows that the processor has it.
pub struct Ifma {
    base: KeyRecords,
    keys: KeyCache<KeyRecords>,
}

impl Ifma {
    /// The backend, if this processor can run it.
    pub fn detect() -> Option<Self> {
        if !is_supported() {
            return None;
        }
        // SAFETY: the processor has the features.
        let base = unsafe { key_records(&[&BASE_POINT]) };
        Some(Self { base: base[0].expect("the base point is a point"), keys: KeyCache::new() })
    }
}

/// Whether the processor has every feature that a function of the kernel enables.
fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

impl Backend for Ifma {
    fn name(&self) -> &'static str {
        "avx512ifma"
    }

    fn prepare<'a>(&'a self, items: &[Item<'a>], randomisers: &[u128]) -> Box<dyn Prepared + 'a> {
        assert_eq!(items.len(), randomisers.len());
        // SAFETY: `self` exists, so the processor has the features.
        let signers = self.keys.signers(items, |encodings| unsafe { key_records(encodings) });
        // SAFETY: as above.
        Box::new(unsafe { Batch::prepare(&self.base, signers, items, randomisers) })
    }
}

/// Everything that a batch knows of its items, by index, but for R, which is in the table.
struct Batch {
    /// z, of 128 bits.
    randomisers: Vec<u128>,
    /// s, or `None` where the item is malformed, whatever is wrong with it.
    responses: Vec<Option<Scalar>>,
    /// k as the hash gave it, of 512 bits.
    challenges: Vec<[u64; 8]>,
    /// Position among the distinct signers.
    signer_of: Vec<u32>,
    /// How many distinct signers there are.
    signer_count: usize,
    /// The identity, B, [2^128]B; for each signer A, [2^128]A; for each item R.
    table: Vec<Record>,
}

/// Where the records of the base point are in a batch's table.
const BASE: usize = 1;

/// Where the records of the first signer are in a batch's table.
const SIGNERS: usize = BASE + 2;

impl Batch {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512ifma")]
    fn prepare(base: &KeyRecords, signers: Signers<KeyRecords>, items: &[Item<'_>], randomisers: &[u128]) -> Self {
        let signer_count = signers.keys.len();
        let mut table = Vec::with_capacity(SIGNERS + 2 * signer_count + items.len());
        table.push(Record::IDENTITY);
        table.extend(base);
        for key in &signers.keys {
            table.extend(key.unwrap_or([Record::IDENTITY; 2]));
        }
        let is_point = decode_nonces(items, &mut table);
        let response = |index: usize| {
            let has_points = is_point[index] && signers.keys[signers.of_item[index] as usize].is_some();
            scalar::decode(items[index].scalar()).filter(|_| has_points)
        };
        Self {
            randomisers: randomisers.to_vec(),
            responses: (0..items.len()).map(response).collect(),
            challenges: challenges(items),
            signer_of: signers.of_item,
            signer_count,
            table,
        }
    }

    /// The terms of the equation over `range`: what is malformed has none.
    fn terms(&self, range: Range<usize>) -> Vec<Term> {
        let mut of_base = Sum::default();
        let mut of_signer = vec![Sum::default(); self.signer_count];
        let mut terms = Vec::with_capacity(range.len() + 2 * self.signer_count + 2);
        let first_nonce = SIGNERS + 2 * self.signer_count;
        for index in range {
            if let Some(response) = &self.responses[index] {
                let randomiser = self.randomisers[index];
                of_base.add_product(randomiser, response);
                of_signer[self.signer_of[index] as usize].add_product(randomiser, &self.challenges[index]);
                terms.push(Term { point: (first_nonce + index) as u32, scalar: randomiser });
            }
        }
        let mut add = |position: usize, factor: Scalar| {
            for (point, scalar) in (position as u32..).zip(scalar::halves(factor)) {
                terms.push(Term { point, scalar });
            }
        };
        add(BASE, scalar::negate(of_base.reduce()));
        for (signer, sum) in of_signer.iter().enumerate() {
            // A signer outside the range is not worth a multiplication.
            if *sum != Sum::default() {
                add(SIGNERS + 2 * signer, sum.reduce());
            }
        }
        terms
    }
}

impl Prepared for Batch {
    fn is_well_formed(&self, index: usize) -> bool {
        self.responses[index].is_some()
    }

    fn holds(&self, range: Range<usize>) -> bool {
        let terms = self.terms(range);
        // SAFETY: a batch is made by `Ifma` alone, which exists only if the processor has the features.
        unsafe { sum_to_small_order(&terms, &self.table) }
    }

    fn have_prime_order_nonces(&self, indices: &[usize], selectors: &[u64]) -> bool {
        let first_nonce = SIGNERS + 2 * self.signer_count;
        let positions: Vec<_> = indices.iter().map(|index| first_nonce + index).collect();
        // SAFETY: as above.
        unsafe { have_prime_order(&positions, selectors, &self.table) }
    }
}

/// Whether each of 64 sums over the points of the table at `positions`, chosen by the bits of `selectors`, has prime order.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn have_prime_order(positions: &[usize], selectors: &[u64], table: &[Record]) -> bool {
    // Lane j of register i has sum 8 i + j; a point that does not take part in a sum adds the identity, which is first.
    let mut sums = [Point8::identity(); u64::BITS as usize / LANES];
    for (&position, selector) in positions.iter().zip(selectors) {
        for (bits, sum) in selector.to_le_bytes().into_iter().zip(&mut sums) {
            let chosen = std::array::from_fn(|lane| if has_lane(bits, lane) { position } else { 0 });
            *sum = sum.add_niels(Niels8::gather(table, chosen), 0);
        }
    }
    sums.into_iter().all(|sum| sum.times_group_order().is_identity() == LaneMask::MAX)
}

/// Whether eight times the sum of the terms is the identity.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn sum_to_small_order(terms: &[Term], table: &[Record]) -> bool {
    msm::sum(terms, table).double_times(3).is_identity() & 1 != 0
}

/// Decodes the point R of every item to the end of `table`, and says which are points.
///
/// What is not a point takes a place in the table all the same, so that places can be told from indices.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn decode_nonces(items: &[Item<'_>], table: &mut Vec<Record>) -> Vec<bool> {
    let mut is_point = Vec::with_capacity(items.len());
    for items in items.chunks(REGISTERS * LANES) {
        let mut encodings = [[[0; LANES]; 4]; REGISTERS];
        for (i, item) in items.iter().enumerate() {
            put(&mut encodings[i / LANES], i % LANES, item.nonce());
        }
        let (points, masks) = point::decode(&encodings);
        for (i, eight) in items.chunks(LANES).enumerate() {
            table.extend_from_slice(&points[i].to_niels().to_records()[..eight.len()]);
            is_point.extend((0..eight.len()).map(|lane| has_lane(masks[i], lane)));
        }
    }
    is_point
}

/// Decodes keys, and multiplies them by 2^128; `None` where there is no point.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn key_records(encodings: &[&[u8; 32]]) -> Vec<Option<KeyRecords>> {
    let mut keys = Vec::with_capacity(encodings.len());
    for eight in encodings.chunks(LANES) {
        let mut words = [[0; LANES]; 4];
        for (lane, encoding) in eight.iter().enumerate() {
            put(&mut words, lane, encoding);
        }
        let ([points], [mask]) = point::decode(&[words]);
        let near = points.to_niels().to_records();
        let far = points.to_point().double_times(128).to_affine().to_niels().to_records();
        keys.extend((0..eight.len()).map(|lane| has_lane(mask, lane).then(|| [near[lane], far[lane]])));
    }
    keys
}

/// SHA-512(R || A || M) for every item, as little-endian words.
#[target_feature(enable = "avx512f,avx512bw")]
fn challenges(items: &[Item<'_>]) -> Vec<[u64; 8]> {
    let message = |index: usize| {
        let item = &items[index];
        Message { head: [item.nonce(), item.public], body: item.message }
    };
    // Eight messages take the time of the longest, so messages of one length go together.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&index| message(index).block_count());
    let mut challenges = vec![[0; 8]; items.len()];
    for indices in order.chunks(LANES) {
        // Lanes that have no item of their own repeat the first.
        let mut messages = [message(indices[0]); LANES];
        for (lane, &index) in indices.iter().enumerate() {
            messages[lane] = message(index);
        }
        for (&index, digest) in indices.iter().zip(sha512::sha512(&messages)) {
            challenges[index] = digest;
        }
    }
    challenges
}

/// Puts an encoding into one lane.
fn put(encodings: &mut Encodings, lane: usize, encoding: &[u8; 32]) {
    let (words, _) = encoding.as_chunks::<8>();
    for (lanes, word) in encodings.iter_mut().zip(words) {
        lanes[lane] = u64::from_le_bytes(*word);
    }
}

fn has_lane(mask: LaneMask, lane: usize) -> bool {
    mask >> lane & 1 != 0
}

#[cfg(test)]
mod tests;
