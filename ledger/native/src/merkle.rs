//! Hashes of many leaves, and the root above them, as in `ledger/crypto/merkle.py` (RFC 9162, section 2.1.1).
//!
//! `sha2` uses the processor's SHA instructions where it finds them.

#![forbid(unsafe_code)]

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

const NODE: u8 = 0x01;

/// SHA-256(prefix || entry); the prefix is 0x00, and the tag of the tree if it has one.
pub fn leaf_hash(prefix: &[u8], entry: &[u8]) -> Hash {
    Sha256::new().chain_update(prefix).chain_update(entry).finalize().into()
}

/// The root over the leaf hashes, which are overwritten; the hash of nothing if there are none.
pub fn root_of(mut level: Vec<Hash>) -> Hash {
    if level.is_empty() {
        return Sha256::digest([]).into();
    }
    while level.len() > 1 {
        let parents = level.len() / 2;
        for parent in 0..parents {
            level[parent] = node_hash(&level[2 * parent], &level[2 * parent + 1]);
        }
        if level.len() % 2 == 1 {
            // A node without a right neighbour is promoted unchanged.
            level[parents] = level[level.len() - 1];
        }
        level.truncate(level.len().div_ceil(2));
    }
    level[0]
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash_pair(&[NODE], left, right)
}

/// The state that SHA-256 starts from (FIPS 180-4, section 5.3.3).
pub(crate) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256(tag || first || second).
///
/// Trees hash little else. Where all fits into two blocks they are padded here, because a hasher for messages of any
/// length spends as much time on its buffer as on the hash.
pub fn hash_pair(tag: &[u8], first: &Hash, second: &Hash) -> Hash {
    let length = tag.len() + 64;
    if length > 128 - 9 {
        return Sha256::new().chain_update(tag).chain_update(first).chain_update(second).finalize().into();
    }
    let mut message = [0; 128];
    message[..tag.len()].copy_from_slice(tag);
    message[tag.len()..tag.len() + 32].copy_from_slice(first);
    message[tag.len() + 32..length].copy_from_slice(second);
    message[length] = 0x80;
    message[120..].copy_from_slice(&(8 * length as u64).to_be_bytes());
    let [one, two] = [0, 64].map(|start| message[start..start + 64].try_into().expect("64 bytes"));
    let mut state = INITIAL;
    compress256(&mut state, &[one, two]);
    hash_of(&state)
}

/// The bytes of the state that SHA-256 ends with.
pub(crate) fn hash_of(state: &[u32; 8]) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 9162, by its own recursion.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn roots_agree_with_the_definition_at_every_size() {
        let leaves: Vec<_> = (0..130_u8).map(|number| leaf_hash(&[0], &[number])).collect();
        for size in 0..=leaves.len() {
            assert_eq!(root_of(leaves[..size].to_vec()), root_by_definition(&leaves[..size]), "{size} leaves");
        }
    }

    #[test]
    fn a_prefix_is_hashed_before_the_entry() {
        let expected: Hash = Sha256::digest(b"\x00tag entry").into();
        assert_eq!(leaf_hash(b"\x00tag ", b"entry"), expected);
    }

    #[test]
    fn pairs_hash_as_any_other_bytes_whatever_the_length_of_the_tag() {
        for length in 0..80 {
            let (tag, first, second) = (vec![b't'; length], [length as u8; 32], [0xEE; 32]);
            let expected: Hash = Sha256::digest([&tag[..], &first, &second].concat()).into();
            assert_eq!(hash_pair(&tag, &first, &second), expected, "a tag of {length} bytes");
        }
    }
}
