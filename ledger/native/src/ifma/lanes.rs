//! Words of memory in the eight 64-bit lanes of an AVX-512 register, and back.
//!
//! A register is loaded, stored and transposed here and nowhere else, so that nothing else needs a pointer.

use core::arch::x86_64::*;

/// How many values a register holds, one in each lane.
pub const LANES: usize = 8;

/// Eight 64-bit words, word 0 in the lowest lane.
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

/// The 128-bit quarters 0 and 2 of both operands, then the quarters 1 and 3 of both.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(low: Lanes, high: Lanes) -> (Lanes, Lanes) {
    (_mm512_shuffle_i64x2::<0x88>(low, high), _mm512_shuffle_i64x2::<0xdd>(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ifma::tests::on_this_processor;

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
        // SAFETY: the processor has the features of the kernel.
        on_this_processor(|| unsafe { check() });
    }
}
