//! MessagePack in the one form that `ledger/encoding.py` writes, recognised without knowing what the values mean.
//!
//! A value that a typed decoder accepts has been read from items of the kinds that encoding writes again: integers,
//! byte strings, texts, booleans, nil and arrays, each as many and in the same order. So encoding it gives the same
//! bytes back exactly if every item had its shortest form, and that needs no types to be seen.

#![forbid(unsafe_code)]

/// Reads items one after the other; None for whatever encoding would not have written.
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// What stands at the head of an item, with what follows it.
enum Item<'a> {
    /// An integer, a boolean or nil.
    Scalar,
    Bin(&'a [u8]),
    Text(&'a [u8]),
    /// So many items follow.
    Array(usize),
}

impl<'a> Reader<'a> {
    /// A reader at the first of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Passes by exactly these bytes.
    pub fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// Reads an array's head: how many items follow.
    pub fn array(&mut self) -> Option<usize> {
        match self.item()? {
            Item::Array(length) => Some(length),
            _ => None,
        }
    }

    /// Reads a byte string.
    pub fn bin(&mut self) -> Option<&'a [u8]> {
        match self.item()? {
            Item::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Reads a text, whatever its characters; it need not be UTF-8.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        match self.item()? {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads an integer that is not negative.
    pub fn unsigned(&mut self) -> Option<u64> {
        match self.take()? {
            small @ 0x00..=0x7F => Some(small.into()),
            0xCC => self.number::<1>(0x80),
            0xCD => self.number::<2>(1 << 8),
            0xCE => self.number::<4>(1 << 16),
            0xCF => self.number::<8>(1 << 32),
            _ => None,
        }
    }

    fn item(&mut self) -> Option<Item<'a>> {
        let head = self.take()?;
        Some(match head {
            0x00..=0x7F | 0xE0..=0xFF | 0xC0 | 0xC2 | 0xC3 => Item::Scalar,
            0x90..=0x9F => Item::Array((head & 0x0F).into()),
            0xA0..=0xBF => Item::Text(self.bytes((head & 0x1F).into())?),
            0xC4 => Item::Bin(self.sized::<1>(0)?),
            0xC5 => Item::Bin(self.sized::<2>(1 << 8)?),
            0xC6 => Item::Bin(self.sized::<4>(1 << 16)?),
            0xD9 => Item::Text(self.sized::<1>(32)?),
            0xDA => Item::Text(self.sized::<2>(1 << 8)?),
            0xDB => Item::Text(self.sized::<4>(1 << 16)?),
            0xDC => Item::Array(self.length::<2>(16)?),
            0xDD => Item::Array(self.length::<4>(1 << 16)?),
            0xCC => self.scalar(|reader| reader.number::<1>(0x80))?,
            0xCD => self.scalar(|reader| reader.number::<2>(1 << 8))?,
            0xCE => self.scalar(|reader| reader.number::<4>(1 << 16))?,
            0xCF => self.scalar(|reader| reader.number::<8>(1 << 32))?,
            0xD0 => self.scalar(|reader| reader.negative::<1>(-0x20))?,
            0xD1 => self.scalar(|reader| reader.negative::<2>(i8::MIN.into()))?,
            0xD2 => self.scalar(|reader| reader.negative::<4>(i16::MIN.into()))?,
            0xD3 => self.scalar(|reader| reader.negative::<8>(i32::MIN.into()))?,
            // Maps, floats, extensions, and the one head that means nothing.
            0x80..=0x8F | 0xC1 | 0xC7..=0xCB | 0xD4..=0xD8 | 0xDE | 0xDF => return None,
        })
    }

    fn take(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A big-endian number of `N` bytes; smaller than `least`, it has a shorter form.
    fn number<const N: usize>(&mut self, least: u64) -> Option<u64> {
        let bytes = self.bytes(N)?;
        let number = bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        (number >= least).then_some(number)
    }

    /// A negative number of `N` bytes; not below `bound`, it has a shorter form.
    fn negative<const N: usize>(&mut self, bound: i64) -> Option<u64> {
        let unsigned = self.number::<N>(0)?;
        let unused_bits = 64 - 8 * N;
        ((unsigned << unused_bits) as i64 >> unused_bits < bound).then_some(unsigned)
    }

    fn length<const N: usize>(&mut self, least: u64) -> Option<usize> {
        self.number::<N>(least)?.try_into().ok()
    }

    fn sized<const N: usize>(&mut self, least: u64) -> Option<&'a [u8]> {
        let length = self.length::<N>(least)?;
        self.bytes(length)
    }

    fn scalar(&mut self, read: impl FnOnce(&mut Self) -> Option<u64>) -> Option<Item<'a>> {
        read(self).map(|_| Item::Scalar)
    }
}

/// Whether these bytes are one value, all of it in its shortest form, and every text in it surely in normalisation
/// form C. If not, it may be canonical nevertheless: that depends on tables of characters that are not here.
pub fn is_surely_canonical(encoded: &[u8]) -> bool {
    let mut reader = Reader::new(encoded);
    let mut open = 1_usize;
    while open > 0 {
        open -= 1;
        match reader.item() {
            Some(Item::Scalar | Item::Bin(_)) => {}
            Some(Item::Text(text)) if is_surely_normal(text) => {}
            // Every item takes a byte, so that a length beyond them is a lie, and the sum cannot overflow.
            Some(Item::Array(length)) if length <= reader.rest.len() => open += length,
            _ => return false,
        }
    }
    reader.rest.is_empty()
}

/// Whether a text is UTF-8 and consists of characters that form C leaves alone, beside whatever others they stand.
///
/// Each of them has no decomposition, no combining class, and is never the second half of a composition. What is
/// assigned stays so, by Unicode's policy on stability: the answer is the same under every version.
fn is_surely_normal(text: &[u8]) -> bool {
    text.is_ascii() || str::from_utf8(text).is_ok_and(|text| text.chars().all(is_inert))
}

fn is_inert(character: char) -> bool {
    matches!(character,
        '\0'..='\x7F'
        // Quotation marks, dashes, the ellipsis.
        | '\u{2013}'..='\u{2014}' | '\u{2018}'..='\u{201D}' | '\u{2026}'
        // CJK punctuation before its tone marks; ideographs, without those for compatibility; full-width letters.
        | '\u{3000}'..='\u{3029}' | '\u{4E00}'..='\u{9FFF}' | '\u{FF01}'..='\u{FF5E}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_form() {
        let shortest: [&[u8]; 14] = [
            b"\x00",
            b"\x7F",
            b"\xCC\x80",
            b"\xCD\x01\x00",
            b"\xCE\x00\x01\x00\x00",
            b"\xCF\0\0\0\x01\0\0\0\0",
            b"\xFF",
            b"\xE0",
            b"\xD0\xDF",
            b"\xD0\x80",
            b"\xD1\xFF\x7F",
            b"\xD2\xFF\xFF\x7F\xFF",
            b"\xD2\x80\0\0\0",
            b"\xD3\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF",
        ];
        let longer: [&[u8]; 10] = [
            b"\xCC\x7F",
            b"\xCD\x00\xFF",
            b"\xCE\0\0\xFF\xFF",
            b"\xCF\0\0\0\0\xFF\xFF\xFF\xFF",
            b"\xD0\xE0",
            b"\xD0\x01",
            b"\xD1\xFF\x80",
            b"\xD2\xFF\xFF\x80\x00",
            b"\xD3\xFF\xFF\xFF\xFF\x80\0\0\0",
            b"\xD3\0\0\0\0\0\0\0\x01",
        ];
        assert!(shortest.iter().all(|encoded| is_surely_canonical(encoded)));
        assert!(!longer.iter().any(|encoded| is_surely_canonical(encoded)));
        for encoded in [shortest.as_slice(), longer.as_slice()].concat() {
            // Cut or continued it is no value.
            assert!(!is_surely_canonical(&encoded[..encoded.len() - 1]));
            assert!(!is_surely_canonical(&[encoded, b"\x00"].concat()));
        }
    }

    #[test]
    fn every_length_has_one_head() {
        let of = |head: &[u8], length: usize| [head, &vec![b'a'; length]].concat();
        for (head, length) in [
            (&b"\xA0"[..], 0),
            (b"\xBF", 31),
            (b"\xD9\x20", 32),
            (b"\xD9\xFF", 255),
            (b"\xDA\x01\x00", 256),
            (b"\xDB\x00\x01\x00\x00", 65_536),
            (b"\xC4\x00", 0),
            (b"\xC4\xFF", 255),
            (b"\xC5\x01\x00", 256),
            (b"\xC6\x00\x01\x00\x00", 65_536),
            (b"\x9F", 15),
            (b"\xDC\x00\x10", 16),
            (b"\xDD\x00\x01\x00\x00", 65_536),
        ] {
            assert!(is_surely_canonical(&of(head, length)), "{head:x?}");
        }
        for (head, length) in [
            (&b"\xD9\x1F"[..], 31),
            (b"\xDA\x00\xFF", 255),
            (b"\xDB\0\0\xFF\xFF", 65_535),
            (b"\xC5\x00\xFF", 255),
            (b"\xC6\0\0\xFF\xFF", 65_535),
            (b"\xDC\x00\x0F", 15),
            (b"\xDD\0\0\xFF\xFF", 65_535),
        ] {
            assert!(!is_surely_canonical(&of(head, length)), "{head:x?}");
        }
    }

    #[test]
    fn maps_floats_and_extensions_are_never_canonical() {
        for head in (0x80..=0x8F).chain([0xC1]).chain(0xC7..=0xCB).chain(0xD4..=0xD8).chain([0xDE, 0xDF]) {
            let encoded = [vec![head], vec![0; 20]].concat();
            assert!((1..encoded.len()).all(|end| !is_surely_canonical(&encoded[..end])), "{head:x}");
        }
    }

    #[test]
    fn a_length_that_promises_too_much_ends_it() {
        assert!(!is_surely_canonical(b"\xDD\xFF\xFF\xFF\xFF\xDD\xFF\xFF\xFF\xFF"));
        assert!(!is_surely_canonical(&b"\x91".repeat(1_000)));
        assert!(is_surely_canonical(&[&b"\x91".repeat(10_000)[..], b"\xC0"].concat()));
    }

    #[test]
    fn texts_outside_the_tables_are_left_to_others() {
        let of = |text: &str| is_surely_canonical(&[&[0xA0 | text.len() as u8], text.as_bytes()].concat());
        assert!(of("AY-01") && of("“名称”（一）"));
        assert!(!of("é") && !of("e\u{301}") && !of("\u{AC00}") && !of("\u{F900}") && !of("\u{302A}"));
        assert!(!is_surely_canonical(b"\xA2\xC3\x28") && !is_surely_canonical(b"\xA3\xED\xA0\x80"));
    }
}
