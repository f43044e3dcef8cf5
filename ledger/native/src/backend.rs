//! What a backend of batch verification is: the arithmetic of ZIP-215 for one kind of processor.
//!
//! Every backend has the same accept set, so which one runs changes the time a block takes and nothing else. A batch goes
//! through two steps. [`Backend::prepare`] does once for every signature what does not depend on the others: it decodes R,
//! finds the signer's key, compares s with l, and hashes. [`Prepared::holds`] then decides the equation
//!
//! ```text
//! [8] ( sum z_i R_i  +  sum_A [sum z_i k_i] A  -  [sum z_i s_i] B )  =  identity
//! ```
//!
//! over any range of the batch, where the second sum runs over the *distinct* keys A of the range. A batch that does not
//! hold is split in `batch.rs` until the bad signatures are found; none is decoded or hashed again on the way.

#![forbid(unsafe_code)]

use std::ops::Range;

/// One signature to verify. Nothing is known about the bytes but their number.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Encoding of the signer's public key A, canonical or not.
    pub public: &'a [u8; 32],
    /// The bytes that were signed.
    pub message: &'a [u8],
    /// R, then s in little-endian order.
    pub signature: &'a [u8; 64],
}

impl<'a> Item<'a> {
    /// The 32 bytes that should encode the point R.
    pub fn nonce(&self) -> &'a [u8; 32] {
        self.signature.first_chunk().expect("64 bytes have a first 32")
    }

    /// The 32 bytes that should be an integer s below the group order l.
    pub fn scalar(&self) -> &'a [u8; 32] {
        self.signature.last_chunk().expect("64 bytes have a last 32")
    }
}

/// The arithmetic for one kind of processor.
pub trait Backend: Send + Sync {
    /// The name by which callers choose it and reports name it.
    fn name(&self) -> &'static str;

    /// Decodes and hashes every signature.
    ///
    /// `randomisers` has one z for each item: 128 bits that no signer could foresee when the items were fixed. A false
    /// batch holds with a probability of 2^-128.
    fn prepare<'a>(&'a self, items: &[Item<'a>], randomisers: &[u128]) -> Box<dyn Prepared + 'a>;
}

/// A batch, decoded and hashed, in the order of its items.
pub trait Prepared {
    /// Whether A and R of item `index` are points and its s is less than l. What is malformed is invalid by that alone.
    fn is_well_formed(&self, index: usize) -> bool;

    /// Whether the equation holds over the well-formed items of `range`; it does if there are none.
    fn holds(&self, range: Range<usize>) -> bool;

    /// Whether the points R of the well-formed items at `indices` lie in the prime-order group, all of them.
    ///
    /// `selectors` has 64 bits for each of them that no signer could foresee. Bit j says whether R takes part in sum j, and
    /// all 64 sums are multiplied by l. A part of small order survives in each of them with a probability of one half at
    /// least, whatever the other points are, so one that is there escapes with 2^-64 at most.
    fn have_prime_order_nonces(&self, indices: &[usize], selectors: &[u64]) -> bool;
}
