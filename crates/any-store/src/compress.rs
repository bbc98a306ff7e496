//! The stored form of a document: one form byte, then the document, plain or compressed.
//!
//! ```text
//! 0  document                       plain
//! 1  u32 decoded length  LZ4 block  compressed; written only if it saves an eighth or more
//! 2                                 reserved: LZ4 with a dictionary
//! ```
//!
//! Any value in a document tree may have any form, whatever the collection's setting: the setting
//! speaks for new writes alone. Bytes read here come from disk: damage is an error, and the declared
//! length is believed only up to the limit that holds for every document.

use crate::error::{Error, ErrorKind, Result};
use crate::options::Compression;

const FORM_PLAIN: u8 = 0;
const FORM_LZ4: u8 = 1;

/// Documents up to this size are never compressed.
#[cfg(feature = "compression")]
const COMPRESS_ABOVE_BYTES: usize = 256;

/// Form byte and decoded length.
#[cfg(feature = "compression")]
const LZ4_HEADER_BYTES: usize = 5;

/// One byte of an LZ4 block stands for at most this many.
#[cfg(feature = "compression")]
const LZ4_MAX_EXPANSION: usize = 255;

/// Turns documents into stored values, keeping its memory between calls.
#[derive(Default)]
pub(crate) struct Packer {
    stored: Vec<u8>,
    #[cfg(feature = "compression")]
    table: Option<lz4_flex::block::CompressTable>,
}

impl Packer {
    /// The stored form of an encoded document.
    pub(crate) fn pack(&mut self, document: &[u8], compression: Compression) -> &[u8] {
        let is_packed = compression == Compression::Lz4 && self.pack_lz4(document);
        if !is_packed {
            self.stored.clear();
            self.stored.push(FORM_PLAIN);
            self.stored.extend_from_slice(document);
        }
        &self.stored
    }

    /// Tries to compress; false if that saves less than an eighth.
    #[cfg(feature = "compression")]
    fn pack_lz4(&mut self, document: &[u8]) -> bool {
        use lz4_flex::block;

        let Ok(decoded_len) = u32::try_from(document.len()) else { return false };
        if document.len() <= COMPRESS_ABOVE_BYTES {
            return false;
        }
        self.stored.clear();
        let most = LZ4_HEADER_BYTES + block::get_maximum_output_size(document.len());
        if self.stored.try_reserve(most).is_err() {
            return false;
        }
        self.stored.push(FORM_LZ4);
        self.stored.extend_from_slice(&decoded_len.to_le_bytes());
        self.stored.resize(most, 0);
        let Some(out) = self.stored.get_mut(LZ4_HEADER_BYTES..) else { return false };
        let table = self.table.get_or_insert_with(block::CompressTable::default);
        let Ok(packed_len) = block::compress_into_with_table(document, out, table) else {
            return false;
        };
        let saves_enough = packed_len + LZ4_HEADER_BYTES <= document.len() - document.len() / 8;
        self.stored.truncate(LZ4_HEADER_BYTES + packed_len);
        saves_enough
    }

    #[cfg(not(feature = "compression"))]
    #[expect(clippy::unused_self, reason = "the signature of the feature's other side")]
    fn pack_lz4(&mut self, _document: &[u8]) -> bool {
        false
    }
}

/// Where the encoded document of a stored value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// In the stored value itself, behind the form byte.
    InPlace,
    /// In the buffer that was passed.
    InBuffer,
}

/// The document behind the form byte of a plain value.
pub(crate) fn plain_bytes(stored: &[u8]) -> &[u8] {
    stored.get(1..).unwrap_or_default()
}

/// Makes the encoded document of `stored` readable, using `buffer` if it must be decompressed.
pub(crate) fn unpack(stored: &[u8], buffer: &mut Vec<u8>) -> Result<Unpacked> {
    match stored.split_first() {
        Some((&FORM_PLAIN, _)) => Ok(Unpacked::InPlace),
        Some((&FORM_LZ4, packed)) => unpack_lz4(packed, buffer).map(|()| Unpacked::InBuffer),
        Some(_) => Err(Error::new(
            ErrorKind::UnsupportedFormat,
            "a document is stored in a form that this version does not know",
        )),
        None => Err(Error::corrupt("a stored document is empty")),
    }
}

/// The encoded document of `stored`, in place or in `buffer`.
pub(crate) fn unpacked<'a>(stored: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    match unpack(stored, buffer)? {
        Unpacked::InPlace => Ok(plain_bytes(stored)),
        Unpacked::InBuffer => Ok(buffer),
    }
}

#[cfg(feature = "compression")]
fn unpack_lz4(packed: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
    let damaged = || Error::corrupt("a compressed document does not decompress");
    let (header, block) = packed.split_first_chunk::<4>().ok_or_else(damaged)?;
    let decoded_len = usize::try_from(u32::from_le_bytes(*header)).map_err(|_| damaged())?;
    // No document is larger and no block expands more, so nobody allocates for such a length.
    let is_possible = decoded_len <= anyenc::Limits::default().document_bytes
        && decoded_len / LZ4_MAX_EXPANSION <= block.len();
    if !is_possible {
        return Err(Error::corrupt("a compressed document declares an impossible length"));
    }
    buffer.try_reserve_exact(decoded_len.saturating_sub(buffer.len())).map_err(|_| {
        Error::new(ErrorKind::LimitExceeded, "there is not enough memory for a document")
    })?;
    buffer.resize(decoded_len, 0);
    match lz4_flex::block::decompress_into(block, buffer) {
        Ok(len) if len == decoded_len => Ok(()),
        _ => Err(damaged()),
    }
}

#[cfg(not(feature = "compression"))]
fn unpack_lz4(_packed: &[u8], _buffer: &mut Vec<u8>) -> Result<()> {
    Err(Error::new(
        ErrorKind::UnsupportedFormat,
        "a document is compressed and this build has no compression: enable the feature \
         \"compression\" of any-store",
    ))
}

#[cfg(all(test, feature = "compression"))]
mod tests {
    use super::*;

    fn round_trip(document: &[u8], compression: Compression) -> (Vec<u8>, Vec<u8>) {
        let mut packer = Packer::default();
        let stored = packer.pack(document, compression).to_vec();
        let mut buffer = vec![9; 10];
        let back = unpacked(&stored, &mut buffer).unwrap().to_vec();
        (stored, back)
    }

    #[test]
    fn documents_are_compressed_only_over_256_bytes_and_for_an_eighth() {
        let text = b"again and ".repeat(100);
        for (document, compression, form) in [
            (&text[..256], Compression::Lz4, FORM_PLAIN),
            (&text[..257], Compression::Lz4, FORM_LZ4),
            (&text[..], Compression::None, FORM_PLAIN),
            (&text[..0], Compression::Lz4, FORM_PLAIN),
        ] {
            let (stored, back) = round_trip(document, compression);
            assert_eq!(stored[0], form, "{} bytes", document.len());
            assert_eq!(back, document);
        }
    }

    #[test]
    fn what_saves_less_than_an_eighth_stays_plain() {
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(8000)
        .collect();
        for repeated in (0..4000).step_by(50) {
            let mut document = noise.clone();
            document.truncate(8000 - repeated);
            document.extend(std::iter::repeat_n(7, repeated));
            let (stored, back) = round_trip(&document, Compression::Lz4);
            assert_eq!(back, document);
            match stored[0] {
                FORM_LZ4 => assert!(stored.len() <= document.len() - document.len() / 8),
                _ => assert_eq!(stored.len(), document.len() + 1),
            }
        }
    }

    #[test]
    fn one_packer_serves_small_and_large_documents_in_any_order() {
        let mut packer = Packer::default();
        for len in [300, 100_000, 10, 70_000, 257, 0] {
            let document = b"0123456789 and on ".repeat(len / 18 + 1)[..len].to_vec();
            let stored = packer.pack(&document, Compression::Lz4).to_vec();
            assert_eq!(unpacked(&stored, &mut Vec::new()).unwrap(), document);
        }
    }

    #[test]
    fn damaged_values_are_errors_and_never_allocate_for_a_lie() {
        let document = b"again and ".repeat(100);
        let stored = Packer::default().pack(&document, Compression::Lz4).to_vec();
        let kind = |stored: &[u8]| {
            let mut buffer = Vec::new();
            let result = unpacked(stored, &mut buffer).map(<[u8]>::to_vec);
            assert!(buffer.capacity() <= 1 << 20, "{}", buffer.capacity());
            result.map_err(|error| error.kind())
        };
        assert_eq!(kind(b""), Err(ErrorKind::Corrupt));
        assert_eq!(kind(&[2, 1, 2, 3]), Err(ErrorKind::UnsupportedFormat));
        assert_eq!(kind(&[255]), Err(ErrorKind::UnsupportedFormat));
        for cut in 1..stored.len() {
            assert_eq!(kind(&stored[..cut]), Err(ErrorKind::Corrupt), "cut at {cut}");
        }
        for len in [0, 999, 1001, 16 << 20, u32::MAX] {
            let mut lying = stored.clone();
            lying[1..5].copy_from_slice(&u32::to_le_bytes(len));
            assert_eq!(kind(&lying), Err(ErrorKind::Corrupt), "declares {len}");
        }
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut flipped = stored.clone();
                flipped[at] ^= 1 << bit;
                // A flip inside literals gives other bytes; the page's tag is what finds that.
                let _ = kind(&flipped);
            }
        }
    }
}
