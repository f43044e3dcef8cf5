//! The form and the hashes of a block's envelopes, as in `ledger/validation/envelopes.py`.
//!
//! What is refused here is looked at again in Python, which says why. What is not was compared with all its hashes; the
//! ranges of its fields are left to the typed decoder, which reads the same bytes.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::canonical::{Reader, is_surely_canonical};
use crate::merkle::root_of;
use crate::sha256::{Hash, Prefix};

/// What is hashed before an envelope's header, and before a record as a leaf.
pub struct Prefixes {
    /// Before a header.
    pub header: Prefix,
    /// Before a record.
    pub record: Prefix,
}

/// What was found out about one envelope.
pub struct Examined {
    /// The hash of its header.
    pub id: Hash,
    /// Where header, suite and signature stand in its bytes.
    pub signed: Range<usize>,
    /// For each record whether it is surely in canonical form.
    pub surely_canonical: Vec<bool>,
}

/// Where the parts of an envelope stand.
struct Parts<'a> {
    header: &'a [u8],
    chain: &'a [u8],
    records_root: &'a [u8],
    signed: Range<usize>,
    records: Vec<&'a [u8]>,
}

/// Everything about envelopes that their bytes say: None if one of them is not canonical, is for another chain than
/// `chain`, or has a header that commits to other records.
pub fn examine(raws: &[&[u8]], chain: &[u8], prefixes: &Prefixes) -> Option<Vec<Examined>> {
    let envelopes = raws.iter().map(|raw| parse(raw)).collect::<Option<Vec<_>>>()?;
    let headers: Vec<_> = envelopes.iter().map(|parts| parts.header).collect();
    let records: Vec<_> = envelopes.iter().flat_map(|parts| parts.records.iter().copied()).collect();
    let mut leaves = prefixes.record.hash_all(&records).into_iter();
    let ids = prefixes.header.hash_all(&headers);
    let examined = envelopes.into_iter().zip(ids).map(|(parts, id)| {
        let leaves = leaves.by_ref().take(parts.records.len()).collect();
        (parts.chain == chain && root_of(leaves) == parts.records_root).then(|| Examined {
            id,
            signed: parts.signed,
            surely_canonical: parts.records.iter().map(|record| is_surely_canonical(record)).collect(),
        })
    });
    examined.collect()
}

/// The parts of an envelope in canonical form, with the one known suite and as many records as its header says.
fn parse(raw: &[u8]) -> Option<Parts<'_>> {
    let mut reader = Reader::new(raw);
    let position = |reader: &Reader<'_>| raw.len() - reader.rest().len();
    reader.literal(b"\x96\xA6signed\x01")?;
    let start = position(&reader);
    reader.literal(b"\x99\xA8envelope\x01")?;
    let chain = reader.bin()?;
    // Another character than these would be a question of normalisation; no credit code has one.
    let department = reader.text()?;
    let (_key_id, _sequence, _valid_until) = (reader.unsigned()?, reader.unsigned()?, reader.unsigned()?);
    let records_root = reader.bin()?;
    let count = reader.unsigned()?;
    let header = &raw[start..position(&reader)];
    reader.literal(b"\x01")?;
    let signature = reader.bin()?;
    let signed = start..position(&reader);
    let length = reader.array()?;
    if !department.is_ascii() || signature.len() != 64 || length as u64 != count || length > reader.rest().len() {
        return None;
    }
    let records = (0..length).map(|_| reader.bin()).collect::<Option<_>>()?;
    reader.rest().is_empty().then_some(Parts { header, chain, records_root, signed, records })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes() -> Prefixes {
        Prefixes { header: Prefix::new(b"header\0"), record: Prefix::new(b"\0record\0") }
    }

    fn is_accepted(raw: &[u8]) -> bool {
        examine(&[raw], &[1; 32], &prefixes()).is_some()
    }

    fn bin(bytes: &[u8]) -> Vec<u8> {
        [&[0xC4, bytes.len() as u8], bytes].concat()
    }

    fn header(chain: &[u8], records: &[&[u8]]) -> Vec<u8> {
        let root = root_of(prefixes().record.hash_all(records));
        let numbers = b"\x01\xCC\x80\xCD\x01\x00";
        [
            b"\x99\xA8envelope\x01",
            &bin(chain)[..],
            b"\xB2110000000000000000",
            numbers,
            &bin(&root),
            &[records.len() as u8],
        ]
        .concat()
    }

    fn envelope(chain: &[u8], records: &[&[u8]]) -> Vec<u8> {
        let own: Vec<u8> = records.iter().flat_map(|record| bin(record)).collect();
        let signature = [&b"\x01"[..], &bin(&[7; 64])].concat();
        [b"\x96\xA6signed\x01", &header(chain, records)[..], &signature, &[0x90 | records.len() as u8], &own].concat()
    }

    #[test]
    fn an_envelope_is_taken_apart_where_its_parts_stand() {
        let records: [&[u8]; 3] = [b"\x93\x01\x02\x03", b"noise", b"\xA2\xC3\xA9"];
        let raw = envelope(&[1; 32], &records);
        let examined = examine(&[&raw], &[1; 32], &prefixes()).expect("well-formed").remove(0);
        let header = header(&[1; 32], &records);
        assert_eq!(examined.id, prefixes().header.hash(&header));
        assert_eq!(raw[examined.signed], [&header[..], b"\x01", &bin(&[7; 64])].concat());
        assert_eq!(examined.surely_canonical, [true, false, false]);
    }

    #[test]
    fn of_many_envelopes_each_is_compared_with_its_own_records() {
        let record = |number: usize| vec![b'r'; 5 * number];
        let raws: Vec<_> = (0..12)
            .map(|count| {
                let records: Vec<_> = (0..count).map(record).collect();
                envelope(&[1; 32], &records.iter().map(|record| &record[..]).collect::<Vec<_>>())
            })
            .collect();
        let mut raws: Vec<_> = raws.iter().map(|raw| &raw[..]).collect();
        let examined = examine(&raws, &[1; 32], &prefixes()).expect("all are well-formed");
        for (raw, together) in raws.iter().zip(&examined) {
            let alone = examine(&[raw], &[1; 32], &prefixes()).expect("as before").remove(0);
            assert_eq!((&together.id, &together.signed), (&alone.id, &alone.signed));
            assert_eq!(together.surely_canonical, alone.surely_canonical);
        }
        let other = envelope(&[2; 32], &[]);
        raws.push(&other);
        assert!(examine(&raws, &[1; 32], &prefixes()).is_none(), "one is for another chain");
    }

    #[test]
    fn no_byte_can_be_turned_but_in_department_numbers_and_signature() {
        let records: [&[u8]; 2] = [b"\x92\x01\x02", b"\xC0"];
        let raw = envelope(&[1; 32], &records);
        let after = |part: &[u8]| raw.windows(part.len()).position(|at| at == part).expect("is there") + part.len();
        // The ids and heights are left to the typed decoder, and the signature to whoever has the key.
        let (named, signature) = (after(b"\xB2")..after(b"\xCD\x01\x00"), after(b"\xC4\x40")..after(&[7; 64]));
        for at in 0..raw.len() {
            // An interpreter takes a minute for each.
            for flip in (1..=255).step_by(if cfg!(miri) { 100 } else { 1 }) {
                let mut turned = raw.clone();
                turned[at] ^= flip;
                assert!(
                    !is_accepted(&turned) || named.contains(&at) || signature.contains(&at),
                    "byte {at}, turned by {flip:#x}"
                );
            }
        }
    }

    #[test]
    fn what_is_cut_or_continued_or_for_others_is_refused() {
        let raw = envelope(&[1; 32], &[b"\xC0"]);
        assert!((0..raw.len()).all(|end| !is_accepted(&raw[..end])));
        assert!(!is_accepted(&[&raw[..], b"\0"].concat()));
        assert!(examine(&[&raw], &[2; 32], &prefixes()).is_none());
        assert!(examine(&[&raw], &[1; 31], &prefixes()).is_none());
    }
}
