//! HMAC-SHA-256 (RFC 2104) of many short values under one key.

#![forbid(unsafe_code)]

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use crate::merkle::{Hash, INITIAL, hash_of};

/// What SHA-256 hashes at once; HMAC pads its key to as much.
pub const BLOCK: usize = 64;

/// What of a last block is left for the message: its end mark and its length take the rest.
const ROOM: usize = BLOCK - 9;

/// A key whose two padded forms have gone through the hash already, so that a short value costs two blocks, not four.
pub struct Key<'a> {
    inner: Side<'a>,
    outer: Side<'a>,
}

/// One padded form of the key, and the state that SHA-256 has after it.
struct Side<'a> {
    padded: &'a [u8; BLOCK],
    state: [u32; 8],
}

impl<'a> Key<'a> {
    /// The key padded to a block, combined with 0x36 and with 0x5c.
    pub fn new(inner: &'a [u8; BLOCK], outer: &'a [u8; BLOCK]) -> Self {
        Self { inner: Side::new(inner), outer: Side::new(outer) }
    }

    /// The MAC of `value`.
    pub fn mac(&self, value: &[u8]) -> Hash {
        self.outer.hash(&self.inner.hash(value))
    }
}

impl<'a> Side<'a> {
    fn new(padded: &'a [u8; BLOCK]) -> Self {
        let mut state = INITIAL;
        compress256(&mut state, &[*padded]);
        Self { padded, state }
    }

    /// SHA-256(padded key || message).
    fn hash(&self, message: &[u8]) -> Hash {
        if message.len() > ROOM {
            return Sha256::new().chain_update(self.padded).chain_update(message).finalize().into();
        }
        let mut block = [0; BLOCK];
        block[..message.len()].copy_from_slice(message);
        block[message.len()] = 0x80;
        block[BLOCK - 8..].copy_from_slice(&(8 * (BLOCK + message.len()) as u64).to_be_bytes());
        let mut state = self.state;
        compress256(&mut state, &[block]);
        hash_of(&state)
    }
}

/// The first `size` bytes of the MAC of each line of `text`, one after the other; a text without line ends is one line.
pub fn of_lines(key: &Key<'_>, text: &[u8], size: usize) -> Vec<u8> {
    let mut macs = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mac = key.mac(line);
        macs.extend_from_slice(&mac[..size.min(mac.len())]);
    }
    macs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_mac_and_an_empty_one_too() {
        let padded = [1; BLOCK];
        let key = Key::new(&padded, &padded);
        let expected: Vec<u8> = [&b"a"[..], b"", b"bc"].iter().flat_map(|line| key.mac(line)[..5].to_vec()).collect();
        assert_eq!(of_lines(&key, b"a\n\nbc", 5), expected);
        assert_eq!(of_lines(&key, b"", 99), key.mac(b""));
    }

    #[test]
    fn macs_are_those_of_the_definition_whatever_the_length() {
        let (inner, outer) = ([0x36 ^ 7; BLOCK], [0x5c ^ 7; BLOCK]);
        for length in 0..200 {
            let value = vec![length as u8; length];
            let within = Sha256::digest([&inner[..], &value].concat());
            let expected: Hash = Sha256::digest([&outer[..], &within].concat()).into();
            assert_eq!(Key::new(&inner, &outer).mac(&value), expected, "a value of {length} bytes");
        }
    }
}
