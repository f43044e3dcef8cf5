//! SHA-512 of eight messages at once, one in each lane.
//!
//! Source: FIPS 180-4, sections 4.1.3, 5.1.2, 5.3.5 and 6.4.

use core::arch::x86_64::*;

use crate::lanes::{LANES, LaneMask, Lanes, load, splat, store, transpose};

/// Bytes of a block.
const BLOCK: usize = 128;

/// Bytes that the padding adds at least: the one bit, in a byte of its own, and the message's length.
const PADDING_MIN: usize = 1 + 16;

/// The first 64 bits of the fractional parts of the square roots of the first 8 primes.
#[rustfmt::skip]
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
];

/// The same of the cube roots of the first 80 primes.
#[rustfmt::skip]
const ROUND_CONSTANTS: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

/// A message as the two pieces that it is the concatenation of: R || A, and M.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The first 64 bytes.
    pub head: [&'a [u8; 32]; 2],
    /// The rest, of any length.
    pub body: &'a [u8],
}

impl Message<'_> {
    fn len(&self) -> usize {
        64 + self.body.len()
    }

    /// How many blocks the padded message has.
    pub fn block_count(&self) -> usize {
        (self.len() + PADDING_MIN).div_ceil(BLOCK)
    }

    /// Block `index` of the padded message, its words still as they are in memory.
    #[inline]
    fn block(&self, index: usize) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        // The body begins in the middle of block 0, so what of it is in a block begins half a block before.
        let from = if index == 0 {
            block[..32].copy_from_slice(self.head[0]);
            block[32..64].copy_from_slice(self.head[1]);
            64
        } else {
            0
        };
        let rest = &self.body[(index * BLOCK + from - 64).min(self.body.len())..];
        let space = &mut block[from..];
        let count = rest.len().min(space.len());
        space[..count].copy_from_slice(&rest[..count]);
        // The one bit follows the last byte, in this block only if that byte is here or was the last of the block before.
        let end = self.len();
        if end / BLOCK == index {
            block[end % BLOCK] = 0x80;
        }
        if index + 1 == self.block_count() {
            block[BLOCK - 16..].copy_from_slice(&(8 * end as u128).to_be_bytes());
        }
        block
    }
}

/// Hashes eight messages. Word j of entry i has the bytes 8 j to 8 j + 7 of digest i, the first one lowest.
///
/// The time is that of the longest message.
#[target_feature(enable = "avx512f,avx512bw")]
pub fn sha512(messages: &[Message<'_>; LANES]) -> [[u64; 8]; LANES] {
    let block_counts = messages.map(|message| message.block_count());
    let mut state = [splat(0); 8];
    for i in 0..8 {
        state[i] = splat(INITIAL[i]);
    }
    for index in 0..block_counts.into_iter().max().unwrap_or(0) {
        let mut active: LaneMask = 0;
        let mut blocks = [[0; BLOCK]; LANES];
        for lane in 0..LANES {
            if index < block_counts[lane] {
                blocks[lane] = messages[lane].block(index);
                active |= 1 << lane;
            }
        }
        state = compress(state, words_of(&blocks), active);
    }
    for word in &mut state {
        *word = swap_bytes(*word);
    }
    let mut digests = [[0; 8]; LANES];
    for (lanes, digest) in transpose(state).into_iter().zip(&mut digests) {
        store(lanes, digest);
    }
    digests
}

/// The sixteen big-endian words of each block: word j of the block in lane i is in lane i of entry j.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words_of(blocks: &[[u8; BLOCK]; LANES]) -> [Lanes; 16] {
    let mut words = [splat(0); 16];
    for half in 0..2 {
        let mut rows = [splat(0); LANES];
        for lane in 0..LANES {
            let (chunks, _) = blocks[lane][64 * half..][..64].as_chunks::<8>();
            let mut row = [0; 8];
            for j in 0..8 {
                row[j] = u64::from_ne_bytes(chunks[j]);
            }
            rows[lane] = load(&row);
        }
        let columns = transpose(rows);
        for j in 0..8 {
            words[8 * half + j] = swap_bytes(columns[j]);
        }
    }
    words
}

/// Turns little-endian words to big-endian ones, and back.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_bytes(words: Lanes) -> Lanes {
    // The instruction shuffles within 128 bits: bytes 7 to 0, then 15 to 8.
    let order = _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607);
    _mm512_shuffle_epi8(words, order)
}

/// Works one block into the state of the lanes of `active`.
#[target_feature(enable = "avx512f")]
fn compress(state: [Lanes; 8], mut schedule: [Lanes; 16], active: LaneMask) -> [Lanes; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (sixteen, constants) in ROUND_CONSTANTS.as_chunks::<16>().0.iter().enumerate() {
        for t in 0..16 {
            if sixteen > 0 {
                // The word of round t takes the place of that of round t - 16.
                let near = small_sigma_1(schedule[(t + 14) % 16]);
                let far = small_sigma_0(schedule[(t + 1) % 16]);
                let sum = _mm512_add_epi64(schedule[t], schedule[(t + 9) % 16]);
                schedule[t] = _mm512_add_epi64(_mm512_add_epi64(sum, far), near);
            }
            let word = _mm512_add_epi64(schedule[t], splat(constants[t]));
            // The truth tables of the bitwise functions, operands from the highest bit: choose is 0xca, majority 0xe8.
            let choose = _mm512_ternarylogic_epi64::<0xca>(e, f, g);
            let majority = _mm512_ternarylogic_epi64::<0xe8>(a, b, c);
            let t1 = _mm512_add_epi64(_mm512_add_epi64(h, word), _mm512_add_epi64(big_sigma_1(e), choose));
            let t2 = _mm512_add_epi64(big_sigma_0(a), majority);
            (h, g, f, e) = (g, f, e, _mm512_add_epi64(d, t1));
            (d, c, b, a) = (c, b, a, _mm512_add_epi64(t1, t2));
        }
    }
    let mut next = state;
    for (word, addend) in next.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = _mm512_mask_add_epi64(*word, active, *word, addend);
    }
    next
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_0(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi64::<28>(x), _mm512_ror_epi64::<34>(x), _mm512_ror_epi64::<39>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_1(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi64::<14>(x), _mm512_ror_epi64::<18>(x), _mm512_ror_epi64::<41>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_0(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi64::<1>(x), _mm512_ror_epi64::<8>(x), _mm512_srli_epi64::<7>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_1(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi64::<19>(x), _mm512_ror_epi64::<61>(x), _mm512_srli_epi64::<6>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    _mm512_ternarylogic_epi64::<0x96>(x, y, z)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha512};

    use super::*;
    use crate::ifma::tests::on_this_processor;

    /// The digests of eight messages under one head, by the kernel and by `sha2`.
    fn digests(bodies: [&[u8]; LANES]) -> ([[u64; 8]; LANES], [[u64; 8]; LANES]) {
        let head: [[u8; 32]; 2] = [[0x5a; 32], std::array::from_fn(|i| i as u8)];
        let messages = bodies.map(|body| Message { head: [&head[0], &head[1]], body });
        // SAFETY: callers run `on_this_processor()`, so it has the features of the kernel.
        let ours = unsafe { sha512(&messages) };
        let expected = bodies.map(|body| {
            let digest = Sha512::new().chain_update(head[0]).chain_update(head[1]).chain_update(body).finalize();
            let (words, _) = digest.as_slice().as_chunks::<8>();
            std::array::from_fn(|j| u64::from_le_bytes(words[j]))
        });
        (ours, expected)
    }

    #[test]
    fn messages_of_every_length_up_to_300_hash_as_sha2_says() {
        on_this_processor(|| {
            let bytes: Vec<u8> = (0..300u32).map(|i| (i * 7 + 3) as u8).collect();
            for length in 0..=300 {
                let (ours, expected) = digests([&bytes[..length]; LANES]);
                assert_eq!(ours, expected, "{length} bytes");
            }
        });
    }

    #[test]
    fn lanes_with_messages_of_different_lengths_do_not_disturb_each_other() {
        on_this_processor(|| {
            let bytes: Vec<u8> = (0..5_000u32).map(|i| (i * i + i / 256) as u8).collect();
            for shift in 0..LANES {
                let mut lengths = [0, 47, 48, 63, 64, 175, 176, 5_000];
                lengths.rotate_left(shift);
                let (ours, expected) = digests(lengths.map(|length| &bytes[..length]));
                assert_eq!(ours, expected);
            }
        });
    }
}
