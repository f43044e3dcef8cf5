//! Batches of crafted signatures: every backend names exactly those that fail when they stand alone.
//!
//! Keys and nonces are points with torsion, so that many signatures are valid under ZIP-215 and no other rule, and the
//! equation is known when they are made.

#![no_main]

use arbitrary::Arbitrary;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use ledger_native::backend::Item;
use ledger_native::{backends, batch};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha512};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    entropy: [u8; 32],
    signed: Vec<Crafted<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Crafted<'a> {
    key: u8,
    key_torsion: u8,
    nonce: u8,
    nonce_torsion: u8,
    message: &'a [u8],
    spoilt: Option<Spoilt>,
}

#[derive(Arbitrary, Debug)]
enum Spoilt {
    /// A byte of key or signature is turned.
    Byte { at: u8, flip: u8 },
    /// These bytes stand for the key.
    Key([u8; 32]),
    /// These bytes stand for the nonce.
    Nonce([u8; 32]),
}

const SIGNATURES_MAX: usize = 40;

fuzz_target!(|input: Input<'_>| {
    let signed: Vec<_> = input.signed.iter().take(SIGNATURES_MAX).map(Crafted::make).collect();
    let items: Vec<_> = signed
        .iter()
        .map(|(public, message, signature, _)| Item { public, message: message.as_slice(), signature })
        .collect();
    // One alone is decided by the rule itself, without a batch.
    let portable = *backends().last().expect("there is always the portable one");
    let expected: Vec<_> = items.iter().map(|item| batch::verify(portable, &[*item], &input.entropy)[0]).collect();
    for ((_, _, _, good), verdict) in signed.iter().zip(&expected) {
        assert!(!good || *verdict, "made to be valid, and refused");
    }
    for backend in backends() {
        assert_eq!(batch::verify(backend, &items, &input.entropy), expected, "{}", backend.name());
    }
});

impl Crafted<'_> {
    /// Key, message, signature, and whether it is valid for certain.
    fn make(&self) -> ([u8; 32], Vec<u8>, [u8; 64], bool) {
        let secret = Scalar::from(u64::from(self.key) + 1);
        let nonce = Scalar::from(u64::from(self.nonce) + 1);
        let point = |scalar: Scalar, torsion: u8| {
            (ED25519_BASEPOINT_POINT * scalar + EIGHT_TORSION[usize::from(torsion % 8)]).compress().to_bytes()
        };
        let mut public = point(secret, self.key_torsion);
        let mut nonce_point = point(nonce, self.nonce_torsion);
        match self.spoilt {
            Some(Spoilt::Key(bytes)) => public = bytes,
            Some(Spoilt::Nonce(bytes)) => nonce_point = bytes,
            _ => {}
        }
        let challenge = Scalar::from_bytes_mod_order_wide(
            &Sha512::digest([&nonce_point[..], &public, self.message].concat()).into(),
        );
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&nonce_point);
        signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
        if let Some(Spoilt::Byte { at, flip }) = self.spoilt {
            match usize::from(at) % 96 {
                at @ ..32 => public[at] ^= flip,
                at => signature[at - 32] ^= flip,
            }
        }
        (public, self.message.to_vec(), signature, self.spoilt.is_none())
    }
}
