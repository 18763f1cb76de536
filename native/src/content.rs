//! The content of an arrival and the checksums of rows, as a store keeps them.

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::get_frame_content_size;

use crate::bundle::{AliasClaim, Facts};
use crate::event::{Event, Receipt};
use crate::msgpack::{self, Reader};
use crate::settings::Settings;
use crate::value::{sha256, Digest, Value};

const LEVEL: i32 = 1;
/// Frames that say they hold more take the other way: a damaged one may say anything.
const MAX_BYTES: usize = 1 << 26;

/// The zstd dictionary of the store.
pub struct Dictionary {
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    pub fn new(bytes: &[u8]) -> Dictionary {
        Dictionary {
            encoder: EncoderDictionary::copy(bytes, LEVEL),
            decoder: DecoderDictionary::copy(bytes),
        }
    }

    pub fn codec(&self) -> Option<Codec<'_>> {
        let mut compressor = Compressor::with_prepared_dictionary(&self.encoder).ok()?;
        compressor.include_dictid(false).ok()?;
        let decompressor = Decompressor::with_prepared_dictionary(&self.decoder).ok()?;
        Some(Codec {
            compressor,
            decompressor,
        })
    }
}

/// Compresses and decompresses; each thread needs its own.
pub struct Codec<'d> {
    compressor: Compressor<'d>,
    decompressor: Decompressor<'d>,
}

impl Codec<'_> {
    pub fn compress(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        self.compressor.compress(data).ok()
    }

    pub fn decompress(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let size = usize::try_from(get_frame_content_size(data).ok()??).ok()?;
        if size > MAX_BYTES {
            return None;
        }
        self.decompressor.decompress(data, size).ok()
    }
}

/// Returns the content of an arrival, not compressed; empty if there are no facts.
pub fn pack(facts: &Facts<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(8192);
    if facts.is_empty() {
        return out;
    }
    msgpack::write_content_head(5, &mut out);
    msgpack::write_list_head(facts.claims.len(), &mut out);
    for claim in &facts.claims {
        msgpack::write_list_head(3, &mut out);
        let texts = [claim.kind, claim.value, claim.created_at];
        texts
            .iter()
            .for_each(|text| msgpack::write_text(text, &mut out));
    }
    let digests: Vec<&Digest> = facts.receipts.iter().map(|one| &one.digest).collect();
    write_digests(&digests, &mut out);
    msgpack::write_content_head(facts.receipts.len(), &mut out);
    facts
        .receipts
        .iter()
        .for_each(|one| msgpack::write_object(one.object, &mut out));
    let digests: Vec<&Digest> = facts.events.iter().map(|one| &one.digest).collect();
    write_digests(&digests, &mut out);
    msgpack::write_content_head(facts.events.len(), &mut out);
    facts
        .events
        .iter()
        .for_each(|one| msgpack::write_object(one.object, &mut out));
    out
}

fn write_digests(digests: &[&Digest], out: &mut Vec<u8>) {
    let joined: Vec<u8> = digests.iter().flat_map(|one| one.iter().copied()).collect();
    msgpack::write_bytes(&joined, out);
}

/// The parts of a content; its values are not verified.
pub struct Contents<'a> {
    claims: Vec<Value<'a>>,
    receipts: Vec<(Digest, Value<'a>)>,
    events: Vec<(Digest, Value<'a>)>,
}

impl<'a> Contents<'a> {
    /// Reads a content that was decompressed.
    pub fn read(packed: &'a [u8]) -> Option<Contents<'a>> {
        let mut contents = Contents {
            claims: vec![],
            receipts: vec![],
            events: vec![],
        };
        if packed.is_empty() {
            return Some(contents);
        }
        let mut reader = Reader::new(packed);
        if reader.list_head()? != 5 {
            return None;
        }
        let Value::List(claims) = reader.value(0)? else {
            return None;
        };
        contents.claims = claims;
        contents.receipts = read_values(&mut reader)?;
        contents.events = read_values(&mut reader)?;
        reader.is_at_end().then_some(contents)
    }

    pub fn receipts(&self) -> &[(Digest, Value<'a>)] {
        &self.receipts
    }

    pub fn events(&self) -> &[(Digest, Value<'a>)] {
        &self.events
    }

    pub fn claims<'v>(&'v self) -> Option<Vec<AliasClaim<'v>>> {
        let claim = |value: &'v Value<'a>| {
            let [kind, value, created_at] = value.list()? else {
                return None;
            };
            let (kind, value) = (kind.text()?, value.text()?);
            Some(AliasClaim {
                kind,
                value,
                created_at: created_at.text()?,
            })
        };
        self.claims.iter().map(claim).collect()
    }

    /// Returns the facts, if their stored verdicts are that all are valid.
    pub fn valid_facts<'v>(&'v self, settings: &'v Settings) -> Option<Facts<'v>> {
        let receipts = self
            .receipts
            .iter()
            .map(|(digest, one)| Receipt::read(one, *digest));
        let events = self
            .events
            .iter()
            .map(|(digest, one)| Event::read(one, *digest, settings));
        Some(Facts {
            claims: self.claims()?,
            receipts: receipts.collect::<Option<_>>()?,
            events: events.collect::<Option<_>>()?,
        })
    }
}

fn read_values<'a>(reader: &mut Reader<'a>) -> Option<Vec<(Digest, Value<'a>)>> {
    let digests = reader.bytes()?;
    let count = reader.list_head()?;
    if digests.len() != 32 * count {
        return None;
    }
    let values = digests
        .chunks(32)
        .map(|digest| Some((digest.try_into().ok()?, reader.value(0)?)));
    values.collect()
}

// Checksums of rows ------------------------------------------------------------------------

/// The first 16 bytes of the SHA-256 of a row in MessagePack.
pub type Checksum = [u8; 16];

/// A column of a row.
pub enum Column<'a> {
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

pub fn row_checksum(columns: &[Column<'_>]) -> Checksum {
    let mut out = Vec::with_capacity(256);
    msgpack::write_list_head(columns.len(), &mut out);
    for column in columns {
        match column {
            Column::Integer(number) => msgpack::write_integer(*number, &mut out),
            Column::Text(text) => msgpack::write_text(text, &mut out),
            Column::Bytes(bytes) => msgpack::write_bytes(bytes, &mut out),
        }
    }
    let mut checksum = [0; 16];
    checksum.copy_from_slice(&sha256(&out)[..16]);
    checksum
}
