//! The root above many leaves, as in `ledger/crypto/merkle.py` (RFC 9162, section 2.1.1).

#![forbid(unsafe_code)]

use crate::sha256::{Hash, Prefix};

const NODE: u8 = 0x01;

/// The root over the leaf hashes; the hash of nothing if there are none.
pub fn root_of(mut level: Vec<Hash>) -> Hash {
    let node = Prefix::new(&[NODE]);
    while level.len() > 1 {
        let (pairs, _) = level.as_flattened().as_chunks::<64>();
        let mut parents = node.hash_all(pairs);
        if level.len() % 2 == 1 {
            // A node without a right neighbour is promoted unchanged.
            parents.extend(level.last());
        }
        level = parents;
    }
    level.pop().unwrap_or_else(|| Prefix::new(&[]).hash(&[]))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The definition of RFC 9162, by its own recursion.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
                let node = [&[NODE][..], &root_by_definition(left), &root_by_definition(right)].concat();
                Sha256::digest(node).into()
            }
        }
    }

    #[test]
    fn roots_agree_with_the_definition_at_every_size() {
        let leaves: Vec<Hash> = (0..130_u8).map(|number| Sha256::digest([0, number]).into()).collect();
        for size in 0..=leaves.len() {
            assert_eq!(root_of(leaves[..size].to_vec()), root_by_definition(&leaves[..size]), "{size} leaves");
        }
    }
}
