//! Words of memory in the lanes of an AVX-512 register, and back: eight of 64 bits, or sixteen of 32 bits.
//!
//! A register is loaded, stored and transposed here and nowhere else, so that nothing else needs a pointer.

use core::arch::x86_64::*;

/// How many 64-bit values a register holds, one in each lane.
pub const LANES: usize = 8;

/// The same of 32-bit values.
pub const LANES_32: usize = 16;

/// Eight 64-bit words or sixteen 32-bit words, word 0 in the lowest lane.
pub type Lanes = __m512i;

/// One bit for each lane, the lowest for lane 0.
pub type LaneMask = __mmask8;

/// The same word in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn splat(word: u64) -> Lanes {
    _mm512_set1_epi64(word.cast_signed())
}

/// The words of memory, in order.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn load(words: &[u64; LANES]) -> Lanes {
    // SAFETY: the reference is to 64 readable bytes, and the unaligned load asks for no alignment.
    unsafe { _mm512_loadu_epi64(words.as_ptr().cast()) }
}

/// The words of a register, in order.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn store(lanes: Lanes, words: &mut [u64; LANES]) {
    // SAFETY: the reference is to 64 writable bytes, and the unaligned store asks for no alignment.
    unsafe { _mm512_storeu_epi64(words.as_mut_ptr().cast(), lanes) }
}

/// The same 32-bit word in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn splat_32(word: u32) -> Lanes {
    _mm512_set1_epi32(word.cast_signed())
}

/// The bytes of memory in order, from byte `at` of the register on; its other bytes are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub fn load_bytes(bytes: &[u8], at: usize) -> Lanes {
    assert!(at + bytes.len() <= 64, "the bytes have room in a register");
    if bytes.is_empty() {
        return splat(0);
    }
    let mask = u64::MAX >> (64 - bytes.len()) << at;
    // SAFETY: the mask has the bits of the bytes that are there, and no others are read.
    unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().wrapping_sub(at).cast()) }
}

/// The lower half of a register's bytes, in order.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn store_lower_half(lanes: Lanes, bytes: &mut [u8; 32]) {
    // SAFETY: the reference is to 32 writable bytes, and the unaligned store asks for no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), _mm512_castsi512_si256(lanes)) }
}

/// Turns eight rows of eight words into columns: word i of row j becomes word j of row i.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn transpose(rows: [Lanes; LANES]) -> [Lanes; LANES] {
    let [a, b, c, d, e, f, g, h] = rows;
    // Pairs of rows: "even" has words 0, 2, 4, 6 of both, alternating, and "odd" words 1, 3, 5, 7.
    let (ab_even, ab_odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd_even, cd_odd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let (ef_even, ef_odd) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
    let (gh_even, gh_odd) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
    // Quads of rows. 0x88 takes the 128-bit quarters 0 and 2 of each operand, 0xdd the quarters 1 and 3.
    let (even_04, even_26) = quarters(ab_even, cd_even);
    let (odd_15, odd_37) = quarters(ab_odd, cd_odd);
    let (even_04_high, even_26_high) = quarters(ef_even, gh_even);
    let (odd_15_high, odd_37_high) = quarters(ef_odd, gh_odd);
    let (column_0, column_4) = quarters(even_04, even_04_high);
    let (column_1, column_5) = quarters(odd_15, odd_15_high);
    let (column_2, column_6) = quarters(even_26, even_26_high);
    let (column_3, column_7) = quarters(odd_37, odd_37_high);
    [column_0, column_1, column_2, column_3, column_4, column_5, column_6, column_7]
}

/// Turns sixteen rows of sixteen 32-bit words into columns: word i of row j becomes word j of row i.
#[inline]
#[target_feature(enable = "avx512f")]
pub fn transpose_32(rows: [Lanes; LANES_32]) -> [Lanes; LANES_32] {
    // Fours of rows: quarter q of entry k has word 4 q + k of each of the four.
    let mut fours = rows;
    for four in fours.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *four;
        let (ab_01, ab_23) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd_01, cd_23) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        *four = [
            _mm512_unpacklo_epi64(ab_01, cd_01),
            _mm512_unpackhi_epi64(ab_01, cd_01),
            _mm512_unpacklo_epi64(ab_23, cd_23),
            _mm512_unpackhi_epi64(ab_23, cd_23),
        ];
    }
    let mut columns = rows;
    for k in 0..4 {
        let (even, odd) = quarters(fours[k], fours[4 + k]);
        let (even_high, odd_high) = quarters(fours[8 + k], fours[12 + k]);
        (columns[k], columns[8 + k]) = quarters(even, even_high);
        (columns[4 + k], columns[12 + k]) = quarters(odd, odd_high);
    }
    columns
}

/// The 128-bit quarters 0 and 2 of both operands, then the quarters 1 and 3 of both.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(low: Lanes, high: Lanes) -> (Lanes, Lanes) {
    (_mm512_shuffle_i64x2::<0x88>(low, high), _mm512_shuffle_i64x2::<0xdd>(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a test of registers, unless the processor lacks them: there is then nothing to test.
    fn on_this_processor(test: impl FnOnce()) {
        if is_x86_feature_detected!("avx512f") {
            test();
        }
    }

    #[test]
    fn transposing_exchanges_rows_and_columns() {
        #[target_feature(enable = "avx512f")]
        fn check() {
            let mut rows = [splat(0); LANES];
            for (row, words) in rows.iter_mut().enumerate() {
                *words = load(&std::array::from_fn(|column| (10 * row + column) as u64));
            }
            for (column, lanes) in transpose(rows).into_iter().enumerate() {
                let mut words = [0; LANES];
                store(lanes, &mut words);
                assert_eq!(words, std::array::from_fn(|row| (10 * row + column) as u64));
            }
        }
        // SAFETY: the processor has the feature.
        on_this_processor(|| unsafe { check() });
    }

    #[test]
    fn transposing_exchanges_rows_and_columns_of_32_bits_too() {
        #[target_feature(enable = "avx512f,avx512bw")]
        fn check() {
            let mut rows = [splat(0); LANES_32];
            for (row, words) in rows.iter_mut().enumerate() {
                let bytes: Vec<u8> = (0..16_u32).flat_map(|column| (100 * row as u32 + column).to_le_bytes()).collect();
                *words = load_bytes(&bytes, 0);
            }
            for (column, lanes) in transpose_32(rows).into_iter().enumerate() {
                let mut words = [0; LANES];
                store(lanes, &mut words);
                let expected = |row: usize| (100 * row + column) as u64;
                assert_eq!(words, std::array::from_fn(|pair| expected(2 * pair) | expected(2 * pair + 1) << 32));
            }
        }
        // SAFETY: as above.
        on_this_processor(|| unsafe { check() });
    }
}
