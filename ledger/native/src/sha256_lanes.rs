//! SHA-256 of sixteen messages at once, one in each lane of AVX-512 registers.
//!
//! Sixteen blocks take about as long as seven with the SHA instructions, which work on one message at a time. Unsafe code
//! is where the kernel is entered.
//!
//! Source: FIPS 180-4, sections 4.1.2 and 6.2.

use core::arch::x86_64::*;
use core::array;

use crate::lanes::{LANES_32, Lanes, load_bytes, splat_32, store_lower_half, transpose_32};
use crate::sha256::{BLOCK, Hash, Prefix};

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
#[rustfmt::skip]
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// That there is a value of this type shows that the processor has what the kernel needs.
pub struct Kernel(());

impl Kernel {
    /// The kernel, if this processor can run it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }

    /// SHA-256(prefix || message) of each message. The time is that of the longest.
    #[inline]
    pub fn hash(&self, prefix: &Prefix, messages: [&[u8]; LANES_32]) -> [Hash; LANES_32] {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { hash_in_lanes(prefix, messages) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn hash_in_lanes(prefix: &Prefix, messages: [&[u8]; LANES_32]) -> [Hash; LANES_32] {
    let block_counts = messages.map(|message| prefix.block_count(message));
    let mut state = [splat_32(0); 8];
    for (lanes, &word) in state.iter_mut().zip(&prefix.state) {
        *lanes = splat_32(word);
    }
    for index in 0..block_counts.into_iter().max().unwrap_or(0) {
        let mut active: __mmask16 = 0;
        let mut rows = [splat_32(0); LANES_32];
        for lane in 0..LANES_32 {
            if index < block_counts[lane] {
                let is_last = index + 1 == block_counts[lane];
                rows[lane] = block(prefix, messages[lane], index, is_last);
                active |= 1 << lane;
            }
        }
        state = compress(state, transpose_32(rows), active);
    }
    let mut rows = [splat_32(0); LANES_32];
    rows[..8].copy_from_slice(&state);
    let mut hashes = [[0; 32]; LANES_32];
    for (row, hash) in transpose_32(rows).into_iter().zip(&mut hashes) {
        store_lower_half(swap_bytes(row), hash);
    }
    hashes
}

/// The big-endian words of block `index` of the rest of the prefix and the message, padded.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn block(prefix: &Prefix, message: &[u8], index: usize, is_last: bool) -> Lanes {
    let shift = prefix.rest_length;
    let end = shift + message.len();
    let mut bytes = if index == 0 {
        let own = &message[..message.len().min(BLOCK - shift)];
        _mm512_or_si512(load_bytes(&prefix.rest, 0), load_bytes(own, shift))
    } else {
        let own = &message[(index * BLOCK - shift).min(message.len())..];
        load_bytes(&own[..own.len().min(BLOCK)], 0)
    };
    // The one bit follows the last byte, in this block only if that byte is here or was the last of the block before.
    if end / BLOCK == index {
        bytes = _mm512_mask_set1_epi8(bytes, 1 << (end % BLOCK), 0x80_u8.cast_signed());
    }
    let words = swap_bytes(bytes);
    if is_last {
        let bits = prefix.bits(message);
        let words = _mm512_mask_set1_epi32(words, 1 << 14, ((bits >> 32) as u32).cast_signed());
        return _mm512_mask_set1_epi32(words, 1 << 15, (bits as u32).cast_signed());
    }
    words
}

/// Turns little-endian words to big-endian ones, and back.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_bytes(words: Lanes) -> Lanes {
    // The instruction shuffles within 128 bits: bytes 3 to 0, then 7 to 4, and so on.
    let order = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(words, order)
}

/// Sixteen rounds, written out, so that none has to move words between registers.
macro_rules! sixteen_times {
    ($round:ident $arguments:tt) => {
        sixteen_times!($round $arguments: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($round:ident $arguments:tt: $($t:literal)*) => { $( $round::<$t> $arguments; )* };
}

/// Works one block into the state of the lanes of `active`.
#[target_feature(enable = "avx512f")]
fn compress(state: [Lanes; 8], mut schedule: [Lanes; 16], active: __mmask16) -> [Lanes; 8] {
    let mut working = state;
    let (first, others) = ROUND_CONSTANTS.as_chunks().0.split_first().expect("there are four times sixteen rounds");
    sixteen_times!(round(&mut working, &schedule, first));
    for constants in others {
        sixteen_times!(later_round(&mut working, &mut schedule, constants));
    }
    let mut next = state;
    for (word, addend) in next.iter_mut().zip(working) {
        *word = _mm512_mask_add_epi32(*word, active, *word, addend);
    }
    next
}

/// A round after the first sixteen. Its word takes the place of that of sixteen rounds before.
#[inline]
#[target_feature(enable = "avx512f")]
fn later_round<const T: usize>(working: &mut [Lanes; 8], schedule: &mut [Lanes; 16], constants: &[u32; 16]) {
    let near = small_sigma_1(schedule[(T + 14) % 16]);
    let far = small_sigma_0(schedule[(T + 1) % 16]);
    let sum = _mm512_add_epi32(schedule[T], schedule[(T + 9) % 16]);
    schedule[T] = _mm512_add_epi32(_mm512_add_epi32(sum, far), near);
    round::<T>(working, schedule, constants);
}

/// Round T of sixteen. The words of the state stay where they are, and their names go around.
#[inline]
#[target_feature(enable = "avx512f")]
fn round<const T: usize>(working: &mut [Lanes; 8], schedule: &[Lanes; 16], constants: &[u32; 16]) {
    let at = |name: usize| (16 + name - T) % 8;
    let [a, b, c, d, e, f, g, h] = array::from_fn(|name| working[at(name)]);
    let word = _mm512_add_epi32(schedule[T], splat_32(constants[T]));
    // The truth tables of the bitwise functions, operands from the highest bit: choose is 0xca, majority 0xe8.
    let choose = _mm512_ternarylogic_epi32::<0xca>(e, f, g);
    let majority = _mm512_ternarylogic_epi32::<0xe8>(a, b, c);
    let t1 = _mm512_add_epi32(_mm512_add_epi32(h, word), _mm512_add_epi32(big_sigma_1(e), choose));
    let t2 = _mm512_add_epi32(big_sigma_0(a), majority);
    working[at(3)] = _mm512_add_epi32(d, t1);
    working[at(7)] = _mm512_add_epi32(t1, t2);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_0(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi32::<2>(x), _mm512_ror_epi32::<13>(x), _mm512_ror_epi32::<22>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn big_sigma_1(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi32::<6>(x), _mm512_ror_epi32::<11>(x), _mm512_ror_epi32::<25>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_0(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi32::<7>(x), _mm512_ror_epi32::<18>(x), _mm512_srli_epi32::<3>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn small_sigma_1(x: Lanes) -> Lanes {
    xor(_mm512_ror_epi32::<17>(x), _mm512_ror_epi32::<19>(x), _mm512_srli_epi32::<10>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    _mm512_ternarylogic_epi32::<0x96>(x, y, z)
}
