//! HMAC-SHA-256 (RFC 2104) of many short values under one key.

#![forbid(unsafe_code)]

use crate::sha256::{Block, Hash, Prefix};

/// A key whose two padded forms have gone through the hash already, so that a short value costs two blocks, not four.
pub struct Key {
    inner: Prefix,
    outer: Prefix,
}

impl Key {
    /// The key padded to a block, combined with 0x36 and with 0x5c.
    pub fn new(inner: &Block, outer: &Block) -> Self {
        Self { inner: Prefix::new(inner), outer: Prefix::new(outer) }
    }

    /// The MAC of each value, in order.
    pub fn macs(&self, values: &[&[u8]]) -> Vec<Hash> {
        self.outer.hash_all(&self.inner.hash_all(values))
    }
}

/// The first `size` bytes of the MAC of each line of `text`, one after the other; a text without line ends is one line.
pub fn of_lines(key: &Key, text: &[u8], size: usize) -> Vec<u8> {
    let lines: Vec<_> = text.split(|&byte| byte == b'\n').collect();
    let mut macs = Vec::with_capacity(lines.len() * size.min(size_of::<Hash>()));
    for mac in key.macs(&lines) {
        macs.extend_from_slice(&mac[..size.min(mac.len())]);
    }
    macs
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn each_line_has_its_mac_and_an_empty_one_too() {
        let padded = [1; 64];
        let key = Key::new(&padded, &padded);
        let expected: Vec<u8> =
            [&b"a"[..], b"", b"bc"].iter().flat_map(|line| key.macs(&[line])[0][..5].to_vec()).collect();
        assert_eq!(of_lines(&key, b"a\n\nbc", 5), expected);
        assert_eq!(of_lines(&key, b"", 99), key.macs(&[b""])[0]);
    }

    #[test]
    fn macs_are_those_of_the_definition_whatever_the_length() {
        let (inner, outer) = ([0x36 ^ 7; 64], [0x5c ^ 7; 64]);
        for length in 0..200 {
            let value = vec![length as u8; length];
            let within = Sha256::digest([&inner[..], &value].concat());
            let expected: Hash = Sha256::digest([&outer[..], &within].concat()).into();
            assert_eq!(Key::new(&inner, &outer).macs(&[&value]), [expected], "a value of {length} bytes");
        }
    }
}
