//! Records: shape, hash, Pith Number and aliases (rules R1 to R4).

use crate::msgpack;
use crate::value::{hex, instant, is_digest, sha256, Digest, Object, Value};

/// A canonical record whose shape was checked.
pub struct Record {
    /// The canonical bytes (V2).
    pub encoded: Vec<u8>,
    pub digest: Digest,
    pub canonical_sha256: String,
    pub suffix: String,
    pub year: String,
    pub pith_number: String,
    /// The canonical bytes of the member `source`.
    pub source: Vec<u8>,
    pub kind: String,
    pub source_id: String,
    pub version: i64,
    /// The record in MessagePack, its members in the order that they came in.
    pub packed: Vec<u8>,
    /// Kind and value of each alias, ascending by kind (R4).
    pub aliases: Vec<(&'static str, String)>,
}

impl Record {
    /// Returns the record that a value is; None if R1 refuses it.
    pub fn read(value: &Value<'_>) -> Option<Record> {
        let record = value.object().filter(|one| has_shape(one))?;
        let (source, metadata) = (record.object("source")?, record.object("metadata")?);
        let encoded = record.canonical();
        let digest = sha256(&encoded);
        let (suffix, year) = (suffix_of(&digest), metadata.text("submitted_at")?.get(..4)?);
        let mut packed = Vec::with_capacity(encoded.len());
        msgpack::write_object(record, &mut packed);
        let mut found = Record {
            encoded,
            digest,
            canonical_sha256: hex(&digest),
            pith_number: format!("pith:{year}:{suffix}"),
            year: year.to_owned(),
            suffix,
            source: source.canonical(),
            kind: source.text("kind")?.to_owned(),
            source_id: source.text("id")?.to_owned(),
            version: source.integer("version")?,
            packed,
            aliases: Vec::with_capacity(6),
        };
        found.aliases = found.computed_aliases();
        Some(found)
    }

    pub fn short_pith_number(&self) -> String {
        format!("pith:{}", &self.suffix[..8])
    }

    /// Whether this is an alias of the record (R4).
    pub fn has_alias(&self, kind: &str, value: &str) -> bool {
        self.aliases
            .iter()
            .any(|one| one.0 == kind && one.1 == value)
    }

    fn computed_aliases(&self) -> Vec<(&'static str, String)> {
        let id = &self.source_id;
        let mut aliases = Vec::with_capacity(6);
        if self.kind == "arxiv" {
            aliases.push(("arxiv", id.clone()));
            aliases.push(("arxiv_version", format!("{id}v{}", self.version)));
            aliases.push(("doi", format!("10.48550/arxiv.{id}")));
        }
        for (kind, length) in [
            ("pith_short_12", 12),
            ("pith_short_16", 16),
            ("pith_short_8", 8),
        ] {
            aliases.push((kind, self.suffix[..length].to_owned()));
        }
        aliases
    }
}

/// Returns the first 26 letters of the base32 of a digest (R3).
pub fn suffix_of(digest: &Digest) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |at: usize| digest[at / 8] >> (7 - at % 8) & 1;
    let letter = |at: usize| (5 * at..5 * at + 5).fold(0, |sum, one| sum << 1 | bit(one));
    (0..26)
        .map(|at| LETTERS[usize::from(letter(at))] as char)
        .collect()
}

fn has_shape(record: &Object<'_>) -> bool {
    let check = || -> Option<bool> {
        let (metadata, source) = (record.object("metadata")?, record.object("source")?);
        let is_hash = |name| metadata.text(name).is_some_and(is_digest);
        Some(
            record.has_members(3)
                && metadata.has_members(6)
                && source.has_members(3)
                && record.text("schema_version")? == "1.0"
                && is_hash("abstract_canon_sha256")
                && is_hash("title_canon_sha256")
                && instant(metadata.text("submitted_at")?).is_some()
                && is_ascending(metadata.list("cross_cats_sorted")?)
                && metadata.text("license").is_some()
                && metadata.filled_text("primary_cat").is_some()
                && source.filled_text("id").is_some()
                && source.filled_text("kind").is_some()
                && source.integer("version")? >= 1,
        )
    };
    check().unwrap_or(false)
}

/// Whether these are strings, strictly ascending by code point.
fn is_ascending(items: &[Value<'_>]) -> bool {
    items.iter().all(|item| item.text().is_some())
        && items
            .windows(2)
            .all(|pair| match (pair[0].text(), pair[1].text()) {
                (Some(one), Some(other)) => one.as_bytes() < other.as_bytes(),
                _ => false,
            })
}
