//! The backend for every processor: points and scalars of `curve25519-dalek`, which chooses its own vector code.

#![forbid(unsafe_code)]

use std::ops::Range;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

use crate::backend::{Backend, Item, Prepared};
use crate::key_cache::{KeyCache, Signers};

/// Batch verification without a requirement on the processor.
#[derive(Default)]
pub struct Portable {
    keys: KeyCache<EdwardsPoint>,
}

impl Backend for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn prepare<'a>(&'a self, items: &[Item<'a>], randomisers: &[u128]) -> Box<dyn Prepared + 'a> {
        assert_eq!(items.len(), randomisers.len());
        let signers =
            self.keys.signers(items, |encodings| encodings.iter().map(|encoding| decode_point(encoding)).collect());
        let signatures = items
            .iter()
            .zip(&signers.of_item)
            .zip(randomisers)
            .map(|((item, &signer), &randomiser)| {
                // Without a key there is nothing to multiply, so the rest need not be decoded.
                signers.keys[signer as usize].and_then(|_| Signature::decode(item, signer, randomiser))
            })
            .collect();
        Box::new(Batch { signers, signatures })
    }
}

/// Whether ZIP-215 accepts one signature: the fastest way to know it of one alone, and it takes no randomness.
pub fn accepts(item: &Item<'_>) -> bool {
    let Some(key) = decode_point(item.public) else { return false };
    Signature::decode(item, 0, 1).is_some_and(|signature| signature.holds(key))
}

/// Whether OpenSSL accepts one signature: [s]B - [k]A has R's own bytes, where A may have any encoding and s < l.
pub fn accepts_strictly(item: &Item<'_>) -> bool {
    let Some(key) = decode_point(item.public) else { return false };
    Signature::decode(item, 0, 1).is_some_and(|signature| signature.expected_nonce(key).compress().0 == *item.nonce())
}

/// Whether an encoding is the canonical one of a point in the prime-order group, other than the identity.
pub fn is_prime_order(encoding: &[u8; 32]) -> bool {
    decode_point(encoding)
        .is_some_and(|point| point.compress().0 == *encoding && !point.is_identity() && point.is_torsion_free())
}

/// ZIP-215's reading of an encoding: y modulo p, whatever its bytes, and "minus zero" is zero.
fn decode_point(encoding: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*encoding).decompress()
}

/// A signature whose parts are what they should be: it may still be wrong.
struct Signature {
    /// Position among the distinct signers of the batch.
    signer: u32,
    /// The point R.
    nonce: EdwardsPoint,
    /// s, less than l.
    response: Scalar,
    /// k = SHA-512(R || A || M) modulo l. The reduction moves [k]A by a point of small order at most, and [8] drops that.
    challenge: Scalar,
    /// z, of 128 bits.
    randomiser: Scalar,
}

impl Signature {
    fn decode(item: &Item<'_>, signer: u32, randomiser: u128) -> Option<Self> {
        let response = Option::from(Scalar::from_canonical_bytes(*item.scalar()))?;
        let nonce = decode_point(item.nonce())?;
        let hash = Sha512::new().chain_update(item.nonce()).chain_update(item.public).chain_update(item.message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Some(Self { signer, nonce, response, challenge, randomiser: Scalar::from(randomiser) })
    }

    /// [8]([k]A + R - [s]B) = identity.
    fn holds(&self, key: EdwardsPoint) -> bool {
        (self.nonce - self.expected_nonce(key)).mul_by_cofactor().is_identity()
    }

    /// [s]B - [k]A, with the tables that a single equation can use.
    fn expected_nonce(&self, key: EdwardsPoint) -> EdwardsPoint {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.challenge, &-key, &self.response)
    }
}

struct Batch {
    signers: Signers<EdwardsPoint>,
    signatures: Vec<Option<Signature>>,
}

impl Prepared for Batch {
    fn is_well_formed(&self, index: usize) -> bool {
        self.signatures[index].is_some()
    }

    fn holds(&self, range: Range<usize>) -> bool {
        let mut signatures = self.signatures[range].iter().flatten();
        match (signatures.next(), signatures.next()) {
            (None, _) => true,
            (Some(only), None) => only.holds(self.key_of(only)),
            (Some(first), Some(second)) => self.hold_together([first, second].into_iter().chain(signatures)),
        }
    }

    fn have_prime_order_nonces(&self, indices: &[usize], selectors: &[u64]) -> bool {
        let mut sums = [EdwardsPoint::identity(); u64::BITS as usize];
        for (&index, selector) in indices.iter().zip(selectors) {
            let nonce = self.signatures[index].as_ref().expect("a well-formed item has a nonce").nonce;
            for (bit, sum) in sums.iter_mut().enumerate() {
                if selector >> bit & 1 != 0 {
                    *sum += nonce;
                }
            }
        }
        sums.iter().all(EdwardsPoint::is_torsion_free)
    }
}

impl Batch {
    fn key_of(&self, signature: &Signature) -> EdwardsPoint {
        self.signers.keys[signature.signer as usize].expect("a signature is decoded only if its key is")
    }

    fn hold_together<'s>(&self, signatures: impl Iterator<Item = &'s Signature>) -> bool {
        let mut base_coefficient = Scalar::ZERO;
        let mut key_coefficients = vec![Scalar::ZERO; self.signers.keys.len()];
        let mut scalars = Vec::new();
        let mut points = Vec::new();
        for signature in signatures {
            let randomiser = signature.randomiser;
            base_coefficient -= randomiser * signature.response;
            key_coefficients[signature.signer as usize] += randomiser * signature.challenge;
            scalars.push(randomiser);
            points.push(signature.nonce);
        }
        // A signer outside the range has the coefficient zero, and is not worth a multiplication.
        for (key, coefficient) in self.signers.keys.iter().zip(key_coefficients) {
            if let (Some(key), true) = (key, coefficient != Scalar::ZERO) {
                scalars.push(coefficient);
                points.push(*key);
            }
        }
        scalars.push(base_coefficient);
        points.push(ED25519_BASEPOINT_POINT);
        EdwardsPoint::vartime_multiscalar_mul(scalars, points).mul_by_cofactor().is_identity()
    }
}
