//! OpenSSL's rule over whole batches, at hardly more than the cost of ZIP-215's.
//!
//! OpenSSL accepts a signature if [s]B - [k]A has R's own bytes, with A in any encoding and s < l. ZIP-215 accepts more. But
//! where A lies in the prime-order group, so does [s]B - [k]A, and R is left a part of small order and another encoding
//! as its only freedoms. So of what the batch accepts by ZIP-215, OpenSSL accepts exactly that whose R has its canonical
//! encoding and no such part; and parts of small order are found for all R at once.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::backend::{Backend, Item};
use crate::batch::{randomisers, verdicts_of};
use crate::portable::{accepts_strictly, is_prime_order};

/// Says of each item, in order, whether plain OpenSSL accepts it.
///
/// Whatever is not shown to be plain in the way above, and nothing honest is among that, is verified by itself.
///
/// `entropy` as for [`crate::batch::verify`]. Of a signature that ZIP-215 accepts and OpenSSL does not, the verdict is wrong
/// with a probability of 2^-64 at most; one that ZIP-215 refuses passes with 2^-128.
pub fn verify(backend: &dyn Backend, items: &[Item<'_>], entropy: &[u8; 32]) -> Vec<bool> {
    let randomisers = randomisers(entropy, items.len());
    let prepared = backend.prepare(items, &randomisers);
    let mut verdicts = verdicts_of(&*prepared, items, &randomisers);
    let mut keys = HashMap::new();
    let (mut plain, mut other) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate().filter(|&(index, _)| verdicts[index]) {
        let is_plain =
            is_canonical(item.nonce()) && *keys.entry(item.public).or_insert_with_key(|key| is_prime_order(key));
        if is_plain { plain.push(index) } else { other.push(index) }
    }
    // Bits of a randomiser are as good here: all that counts is that nobody who signed knew them.
    let selectors: Vec<_> = plain.iter().map(|&index| randomisers[index] as u64).collect();
    if !prepared.have_prime_order_nonces(&plain, &selectors) {
        other.append(&mut plain);
    }
    for index in other {
        verdicts[index] = accepts_strictly(&items[index]);
    }
    verdicts
}

/// Whether y is below p, and the sign bit is not set where x is 0, which is where y is 1 or -1.
fn is_canonical(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7f;
    let [first, middle @ .., last] = y;
    let is_near_p = last == 0x7f && middle.iter().all(|&byte| byte == 0xff);
    let is_one = first == 1 && last == 0 && middle.iter().all(|&byte| byte == 0);
    let has_no_sign = is_one || is_near_p && first == 0xec;
    !(is_near_p && first >= 0xed) && (y == *encoding || !has_no_sign)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest, Sha512};

    use super::*;
    use crate::{backends, batch};

    #[test]
    fn an_encoding_is_canonical_if_encoding_its_point_gives_it_again() {
        let mut encodings: Vec<[u8; 32]> = Vec::new();
        for first in 0..=u8::MAX {
            for (middle, last) in [(0, 0), (0, 0x80), (0xff, 0x7f), (0xff, 0xff)] {
                let mut encoding = [middle; 32];
                (encoding[0], encoding[31]) = (first, last);
                encodings.push(encoding);
            }
        }
        let mut points = 0;
        for encoding in encodings {
            if let Some(point) = CompressedEdwardsY(encoding).decompress() {
                assert_eq!(is_canonical(&encoding), point.compress().0 == encoding, "{encoding:02x?}");
                points += 1;
            }
        }
        assert!(points > 100);
    }

    #[test]
    fn strict_verdicts_are_those_of_single_verification_whatever_is_mixed_into_a_batch() {
        let secret = Scalar::from(0x5eed_u64);
        let public = (ED25519_BASEPOINT_TABLE * &secret).compress().0;
        // Part of small order in R, and whether s is right.
        let cases = [(0, true), (0, false), (4, true), (1, true), (2, true), (6, false), (0, true)];
        let signed: Vec<_> = (0..40u64)
            .map(|number| {
                let (part, is_right) = cases[number as usize % cases.len()];
                let nonce = Scalar::from(number * number + 77);
                let encoding = (ED25519_BASEPOINT_TABLE * &nonce + EIGHT_TORSION[part]).compress().0;
                let message = number.to_le_bytes();
                let hash = Sha512::new().chain_update(encoding).chain_update(public).chain_update(message);
                let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
                let response = nonce + challenge * secret + if is_right { Scalar::ZERO } else { Scalar::ONE };
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&encoding);
                signature[32..].copy_from_slice(response.as_bytes());
                (message, signature, is_right && part == 0)
            })
            .collect();
        let item = |(message, signature, _): &'_ ([u8; 8], [u8; 64], bool)| -> Item<'_> {
            // Leaked, because a test may: an item borrows its parts.
            let (message, signature) = (Box::leak(Box::new(*message)), Box::leak(Box::new(*signature)));
            Item { public: Box::leak(Box::new(public)), message, signature }
        };
        for backend in backends() {
            for chosen in [&signed[..], &signed[..1], &signed[2..3], &[]] {
                let items: Vec<_> = chosen.iter().map(item).collect();
                let expected: Vec<_> = chosen.iter().map(|&(_, _, is_strict)| is_strict).collect();
                assert_eq!(items.iter().map(accepts_strictly).collect::<Vec<_>>(), expected);
                assert_eq!(verify(backend, &items, &[7; 32]), expected, "{}", backend.name());
            }
            let honest: Vec<_> = signed.iter().filter(|&&(_, _, is_strict)| is_strict).map(item).collect();
            assert!(verify(backend, &honest, &[8; 32]).into_iter().all(|verdict| verdict));
            assert!(
                batch::verify(backend, &[item(&signed[2]), item(&signed[3])], &[9; 32])
                    .into_iter()
                    .all(|verdict| verdict)
            );
        }
    }
}
