//! Hashes of many leaves, and the root above them, as in `ledger/crypto/merkle.py` (RFC 9162, section 2.1.1).
//!
//! `sha2` uses the processor's SHA instructions where it finds them.

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
    let mut input = [NODE; 65];
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    Sha256::digest(input).into()
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
}
