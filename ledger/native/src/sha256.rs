//! SHA-256 of many short messages: side by side where the processor can and it pays, else one by one.
//!
//! Trees and MACs hash messages that do not depend on each other, most of them of one length. Where there is AVX-512,
//! sixteen take less than half the time that they take in turn (`sha256_lanes`). In turn they go through `sha2`, which uses
//! the processor's SHA instructions where it finds them. The hashes are the same.
//!
//! Source: FIPS 180-4, sections 5.1.1, 5.3.3 and 6.2.

#![forbid(unsafe_code)]

use std::array;

use sha2::block_api::compress256;

#[cfg(target_arch = "x86_64")]
use crate::sha256_lanes::Kernel;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// What is hashed at once.
pub type Block = [u8; BLOCK];

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// What the hash keeps of the blocks before.
pub(crate) type State = [u32; 8];

/// The state that SHA-256 starts from.
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Bytes that the padding adds at least: the one bit, in a byte of its own, and the message's length.
const PADDING_MIN: usize = 1 + 8;

/// How many messages are hashed side by side.
const LANES: usize = 16;

/// With work for fewer lanes, hashing one message after the other is as fast.
const LANES_MIN: usize = 8;

/// Other processors have no kernel, and there is no value of this type.
#[cfg(not(target_arch = "x86_64"))]
enum Kernel {}

#[cfg(not(target_arch = "x86_64"))]
impl Kernel {
    fn detect() -> Option<Self> {
        None
    }

    fn hash(&self, _: &Prefix, _: [&[u8]; LANES]) -> [Hash; LANES] {
        match *self {}
    }
}

/// What stands before each of many messages. Its whole blocks are hashed once.
pub struct Prefix {
    /// After the whole blocks.
    pub(crate) state: State,
    /// Bytes of the whole blocks.
    pub(crate) hashed: usize,
    /// What is left, less than a block, and zeros.
    pub(crate) rest: Block,
    /// Bytes of what is left.
    pub(crate) rest_length: usize,
}

impl Prefix {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks();
        let mut state = INITIAL;
        compress256(&mut state, blocks);
        let mut prefix = Self { state, hashed: bytes.len() - rest.len(), rest: [0; BLOCK], rest_length: rest.len() };
        prefix.rest[..rest.len()].copy_from_slice(rest);
        prefix
    }

    /// SHA-256(prefix || message).
    pub fn hash(&self, message: &[u8]) -> Hash {
        let mut state = self.state;
        let mut last = [[0; BLOCK]; 2];
        last[0] = self.rest;
        let (mut used, mut left) = (self.rest_length, message);
        if used + message.len() + PADDING_MIN > 2 * BLOCK {
            let (first, after) = message.split_at(BLOCK - used);
            last[0][used..].copy_from_slice(first);
            compress256(&mut state, &last[..1]);
            let (blocks, rest) = after.as_chunks();
            compress256(&mut state, blocks);
            (last[0], left, used) = ([0; BLOCK], rest, 0);
        }
        let end = used + left.len();
        let last = &mut last[..block_count(end)];
        let bytes = last.as_flattened_mut();
        bytes[used..end].copy_from_slice(left);
        bytes[end] = 0x80;
        let length_at = bytes.len() - 8;
        bytes[length_at..].copy_from_slice(&self.bits(message).to_be_bytes());
        compress256(&mut state, last);
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        hash
    }

    /// SHA-256(prefix || message) for each message, in order.
    pub fn hash_all<M: AsRef<[u8]>>(&self, messages: &[M]) -> Vec<Hash> {
        match Kernel::detect() {
            Some(kernel) if messages.len() >= LANES_MIN => self.hash_side_by_side(&kernel, messages),
            _ => messages.iter().map(|message| self.hash(message.as_ref())).collect(),
        }
    }

    fn hash_side_by_side<M: AsRef<[u8]>>(&self, kernel: &Kernel, messages: &[M]) -> Vec<Hash> {
        let block_count = |message: &M| self.block_count(message.as_ref());
        // Messages side by side take the time of the longest, so those of one length go together.
        let mut order: Vec<_> = messages.iter().map(block_count).zip(0..).collect();
        order.sort_unstable();
        let mut hashes = vec![[0; 32]; messages.len()];
        for group in order.chunks(LANES) {
            let message = |&(_, index): &(usize, usize)| messages[index].as_ref();
            let work: usize = group.iter().map(|(block_count, _)| block_count).sum();
            let (longest, _) = group[group.len() - 1];
            if work < LANES_MIN * longest {
                for entry in group {
                    hashes[entry.1] = self.hash(message(entry));
                }
                continue;
            }
            let together = kernel.hash(self, array::from_fn(|lane| group.get(lane).map_or(&[][..], message)));
            for ((_, index), hash) in group.iter().zip(together) {
                hashes[*index] = hash;
            }
        }
        hashes
    }

    /// How many blocks are hashed for a message: its own, padded, and the first of them with the rest of the prefix.
    pub(crate) fn block_count(&self, message: &[u8]) -> usize {
        block_count(self.rest_length + message.len())
    }

    /// The length that the padding names.
    pub(crate) fn bits(&self, message: &[u8]) -> u64 {
        8 * (self.hashed + self.rest_length + message.len()) as u64
    }
}

/// How many blocks so many bytes have with their padding.
fn block_count(length: usize) -> usize {
    (length + PADDING_MIN).div_ceil(BLOCK)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Bytes without a pattern, the same every time.
    fn bytes(count: usize) -> Vec<u8> {
        (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 21) as u8).collect()
    }

    fn expected(prefix: &[u8], messages: &[&[u8]]) -> Vec<Hash> {
        let hash = |message: &&[u8]| Sha256::new().chain_update(prefix).chain_update(message).finalize().into();
        messages.iter().map(hash).collect()
    }

    #[test]
    fn messages_and_prefixes_of_every_length_hash_as_sha2_says() {
        let bytes = bytes(420);
        for prefix in [0, 1, 17, 55, 56, 63, 64, 65, 128, 200] {
            let (prefix, rest) = bytes.split_at(prefix);
            for length in 0..=200 {
                let messages: [&[u8]; LANES] = array::from_fn(|lane| &rest[lane..][..length]);
                let hashes = Prefix::new(prefix).hash_all(&messages);
                assert_eq!(hashes, expected(prefix, &messages), "{} and {length} bytes", prefix.len());
                assert_eq!(Prefix::new(prefix).hash(messages[0]), hashes[0], "{} and {length} bytes", prefix.len());
            }
        }
    }

    #[test]
    fn any_number_of_messages_is_hashed_in_its_order() {
        let bytes = bytes(3_000);
        for count in 0..=40 {
            let even: Vec<_> = (0..count).map(|i| &bytes[i..i + 64]).collect();
            assert_eq!(Prefix::new(b"tag").hash_all(&even), expected(b"tag", &even), "{count} messages");
            let uneven: Vec<_> = (0..count).map(|i| &bytes[..(i * 37 + count * 11) % 300]).collect();
            assert_eq!(Prefix::new(b"tag").hash_all(&uneven), expected(b"tag", &uneven), "{count} messages");
        }
    }

    #[test]
    fn a_long_message_among_short_ones_changes_none_of_them() {
        let bytes = bytes(20_000);
        for place in [0, 7, 15, 20] {
            let messages: Vec<_> = (0..21).map(|i| if i == place { &bytes[..] } else { &bytes[i..2 * i] }).collect();
            assert_eq!(Prefix::new(b"").hash_all(&messages), expected(b"", &messages), "at {place}");
        }
    }

    #[test]
    fn sixteen_times_the_example_of_fips_180_4_has_its_hash() {
        let example = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let hash = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
        for found in Prefix::new(b"").hash_all(&[example; LANES]) {
            assert_eq!(found.map(|byte| format!("{byte:02x}")).concat(), hash);
        }
    }
}
