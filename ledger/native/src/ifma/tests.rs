//! Whole batches, and what the tests of all layers share.

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar as Reference;
use curve25519_dalek::traits::Identity;
use sha2::{Digest, Sha512};

use super::*;
use crate::batch::verify;
use crate::portable::Portable;

/// The six encodings of points of small order that are not canonical, but that ZIP-215 accepts.
///
/// They are (0, 1) and (0, -1) with the sign bit set, y = p with either sign, and y = p + 1 with either sign.
pub const NON_CANONICAL: [[u8; 32]; 6] = {
    let mut encodings = [[0xff; 32]; 6];
    encodings[0] = [0; 32];
    encodings[0][0] = 1;
    encodings[0][31] = 0x80;
    encodings[1][0] = 0xec;
    encodings[2][0] = 0xed;
    encodings[3][0] = 0xed;
    encodings[3][31] = 0x7f;
    encodings[4][0] = 0xee;
    encodings[5][0] = 0xee;
    encodings[5][31] = 0x7f;
    encodings
};

/// Runs a test of the kernel, unless the processor lacks it: there is then nothing to test.
pub fn on_this_processor(test: impl FnOnce()) {
    if is_supported() {
        test();
    }
}

/// The same 64 bytes for a seed every time, with no pattern in them.
pub fn random_bytes(seed: u64) -> [u8; 64] {
    Sha512::digest(seed.to_le_bytes()).into()
}

fn random_scalar(seed: u64) -> Reference {
    Reference::from_bytes_mod_order_wide(&random_bytes(seed))
}

/// A signature with its key and message.
#[derive(Clone)]
struct Signed {
    public: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Signed {
    fn item(&self) -> Item<'_> {
        Item { public: &self.public, message: &self.message, signature: &self.signature }
    }
}

/// A key pair; `torsion` is added to its public key.
struct Signer {
    secret: Reference,
    public: [u8; 32],
}

impl Signer {
    fn new(seed: u64, torsion: EdwardsPoint) -> Self {
        let secret = random_scalar(seed);
        Self { secret, public: (ED25519_BASEPOINT_TABLE * &secret + torsion).compress().0 }
    }

    /// Signs; `torsion` is added to R.
    fn sign(&self, seed: u64, torsion: EdwardsPoint, message: Vec<u8>) -> Signed {
        let nonce_secret = random_scalar(!seed);
        let nonce = (ED25519_BASEPOINT_TABLE * &nonce_secret + torsion).compress().0;
        let hash = Sha512::new().chain_update(nonce).chain_update(self.public).chain_update(&message);
        let challenge = Reference::from_bytes_mod_order_wide(&hash.finalize().into());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&nonce);
        signature[32..].copy_from_slice(&(nonce_secret + challenge * self.secret).to_bytes());
        Signed { public: self.public, message, signature }
    }
}

/// `count` valid signatures by `signers` keys in turn, with messages of many lengths.
fn valid_signatures(count: usize, signers: usize) -> Vec<Signed> {
    let signers: Vec<_> =
        (0..signers.min(count) as u64).map(|seed| Signer::new(seed, EdwardsPoint::identity())).collect();
    (0..count as u64)
        .map(|i| {
            let message = (0..i * 7 % 331).map(|byte| (byte ^ i) as u8).collect();
            signers[i as usize % signers.len()].sign(i, EdwardsPoint::identity(), message)
        })
        .collect()
}

fn items(signed: &[Signed]) -> Vec<Item<'_>> {
    signed.iter().map(Signed::item).collect()
}

fn randomisers(count: usize) -> Vec<u128> {
    (0..count as u64).map(|i| u128::from_le_bytes(*random_bytes(i << 32).first_chunk().unwrap())).collect()
}

/// Whether one equation over all of the batch holds, with nothing malformed in it.
fn accepts(backend: &Ifma, signed: &[Signed]) -> bool {
    let items = items(signed);
    let batch = backend.prepare(&items, &randomisers(items.len()));
    (0..items.len()).all(|index| batch.is_well_formed(index)) && batch.holds(0..items.len())
}

/// The backend, which tests do without where the processor does.
fn with_backend(test: impl FnOnce(&Ifma)) {
    if let Some(backend) = Ifma::detect() {
        test(&backend);
    }
}

#[test]
fn valid_signatures_are_accepted_in_batches_of_every_size() {
    with_backend(|backend| {
        for count in (0..=20).chain([64, 65, 255, 256, 257, 1_000]) {
            for signers in [1, 53, count] {
                assert!(accepts(backend, &valid_signatures(count, signers)), "{count} signatures, {signers} keys");
            }
        }
    });
}

#[test]
fn large_batches_are_accepted_until_one_bit_is_turned() {
    with_backend(|backend| {
        for (count, signers) in [(4_096, 53), (4_096, 4_096), (20_000, 1), (20_000, 53)] {
            let mut signed = valid_signatures(count, signers);
            assert!(accepts(backend, &signed), "{count} signatures, {signers} keys");
            signed[count / 3].signature[40] ^= 4;
            assert!(!accepts(backend, &signed), "{count} signatures, {signers} keys");
        }
    });
}

#[test]
fn a_turned_bit_anywhere_makes_its_signature_invalid_and_no_other() {
    with_backend(|backend| {
        let mut signed = valid_signatures(9, 3);
        signed[4].message.truncate(20);
        signed[4] =
            Signer::new(1, EdwardsPoint::identity()).sign(77, EdwardsPoint::identity(), signed[4].message.clone());
        let verdicts = |signed: &[Signed]| verify(backend, &items(signed), &[7; 32]);
        assert_eq!(verdicts(&signed), [true; 9]);
        let mut expected = [true; 9];
        expected[4] = false;
        for bit in 0..8 * 32 {
            signed[4].public[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verdicts(&signed), expected, "bit {bit} of the key");
            signed[4].public[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..8 * 64 {
            signed[4].signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verdicts(&signed), expected, "bit {bit} of the signature");
            signed[4].signature[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..8 * signed[4].message.len() {
            signed[4].message[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verdicts(&signed), expected, "bit {bit} of the message");
            signed[4].message[bit / 8] ^= 1 << (bit % 8);
        }
        let _ = signed[4].message.pop();
        assert_eq!(verdicts(&signed), expected, "a message that lost a byte");
    });
}

#[test]
fn the_equation_holds_over_exactly_the_ranges_without_a_bad_signature() {
    with_backend(|backend| {
        let mut signed = valid_signatures(300, 7);
        signed[100].message.push(0);
        signed[200].signature[63] = 0xff;
        let items = items(&signed);
        let batch = backend.prepare(&items, &randomisers(300));
        assert!(!batch.is_well_formed(200), "s is not below l");
        for (range, holds) in [
            (0..100, true),
            (0..101, false),
            (100..101, false),
            (101..300, true),
            (200..201, true),
            (0..300, false),
            (5..5, true),
        ] {
            assert_eq!(batch.holds(range.clone()), holds, "{range:?}");
        }
    });
}

#[test]
fn s_must_be_below_the_group_order() {
    with_backend(|backend| {
        let order: [u8; 32] = {
            let mut bytes = (-Reference::ONE).to_bytes();
            bytes[0] += 1;
            bytes
        };
        let valid = valid_signatures(1, 1).remove(0);
        let mut malleated = valid.clone();
        let mut carry = 0;
        for (byte, order) in malleated.signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert!(accepts(backend, std::slice::from_ref(&valid)));
        assert!(!accepts(backend, std::slice::from_ref(&malleated)));
        assert_eq!(verify(backend, &items(&[valid.clone(), malleated, valid]), &[1; 32]), [true, false, true]);
    });
}

#[test]
fn all_196_pairs_of_small_order_encodings_are_accepted() {
    with_backend(|backend| {
        let mut encodings: Vec<_> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
        encodings.extend(NON_CANONICAL);
        let signed: Vec<_> = encodings
            .iter()
            .flat_map(|public| encodings.iter().map(move |nonce| (public, nonce)))
            .map(|(public, nonce)| {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(nonce);
                Signed { public: *public, message: b"Zcash".to_vec(), signature }
            })
            .collect();
        assert_eq!(signed.len(), 196);
        assert!(accepts(backend, &signed));
        for one in &signed {
            assert!(accepts(backend, std::slice::from_ref(one)));
        }
    });
}

#[test]
fn the_cases_of_speccheck_are_judged_as_zip_215_judges_them() {
    with_backend(|backend| {
        let document = include_str!("../../../../tests/vectors/ed25519_speccheck.json");
        let values = |name: &str| -> Vec<Vec<u8>> {
            let quoted = format!("\"{name}\": \"");
            document.split(&quoted).skip(1).map(|rest| unhex(rest.split('"').next().unwrap())).collect()
        };
        let signed: Vec<_> = values("public_key")
            .into_iter()
            .zip(values("message"))
            .zip(values("signature"))
            .map(|((public, message), signature)| Signed {
                public: public.try_into().unwrap(),
                message,
                signature: signature.try_into().unwrap(),
            })
            .collect();
        let expected: Vec<_> = (0..12).map(|case| !(6..=8).contains(&case)).collect();
        assert_eq!(verify(backend, &items(&signed), &[3; 32]), expected);
        for (one, expected) in signed.iter().zip(expected) {
            assert_eq!(accepts(backend, std::slice::from_ref(one)), expected);
        }
    });
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Keys and nonces with parts of small order, some replaced by small-order encodings, some damaged.
fn mixed_signatures(count: usize) -> Vec<Signed> {
    (0..count as u64)
        .map(|i| {
            let choice = random_bytes(i ^ 0xabcd << 40);
            let signer = Signer::new(u64::from(choice[0]) << 50 | 1, EIGHT_TORSION[usize::from(choice[0]) % 8]);
            let mut signed = signer.sign(i, EIGHT_TORSION[usize::from(choice[1]) % 8], choice[..32].to_vec());
            match choice[2] % 16 {
                0 => signed.signature[..32].copy_from_slice(&NON_CANONICAL[usize::from(choice[3]) % 6]),
                1 => signed.public = NON_CANONICAL[usize::from(choice[3]) % 6],
                2 => signed.signature[usize::from(choice[3]) % 64] ^= 1 << (choice[4] % 8),
                3 => signed.public[usize::from(choice[3]) % 32] ^= 1 << (choice[4] % 8),
                4 => {
                    // R and s of nothing: valid under a key of small order.
                    signed.signature = [0; 64];
                    signed.signature[..32].copy_from_slice(&NON_CANONICAL[usize::from(choice[3]) % 6]);
                    signed.public = EIGHT_TORSION[usize::from(choice[4]) % 8].compress().0;
                }
                _ => {}
            }
            signed
        })
        .collect()
}

#[test]
fn verdicts_on_mixed_order_signatures_are_those_of_the_portable_backend() {
    with_backend(|backend| {
        let signed = mixed_signatures(3_000);
        let items = items(&signed);
        let ours = verify(backend, &items, &[9; 32]);
        assert_eq!(ours, verify(&Portable::default(), &items, &[9; 32]));
        assert!(ours.iter().filter(|&&valid| valid).count() > 2_000 && ours.iter().any(|&valid| !valid));
        let valid: Vec<_> = signed.iter().zip(&ours).filter(|(_, valid)| **valid).map(|(one, _)| one.clone()).collect();
        assert!(accepts(backend, &valid));
    });
}

#[test]
fn a_key_is_used_from_the_cache_as_it_was_decoded() {
    with_backend(|backend| {
        let signed = valid_signatures(40, 11);
        assert!(accepts(backend, &signed));
        assert!(accepts(backend, &signed[5..]));
        let mut forged = signed.clone();
        forged[3].public = forged[4].public;
        assert!(!accepts(backend, &forged));
    });
}
