//! Stored records: their rows, read again with everything that a store compares.

use crate::content::{row_checksum, Checksum, Codec, Column, Contents};
use crate::merge::State;
use crate::msgpack;
use crate::record::Record;
use crate::value::{sha256, Digest, Value};

/// The columns of `record` after its id.
pub struct RecordRow<'a> {
    pub digest: &'a [u8],
    pub year: &'a str,
    pub suffix: &'a str,
    pub kind: &'a str,
    pub source_id: &'a str,
    pub version: i64,
    pub value: &'a [u8],
}

/// A row of `arrival`, all of whose verdicts are that the facts are valid.
pub struct ArrivalRow<'a> {
    pub id: i64,
    pub record_id: i64,
    pub run_id: i64,
    pub member: &'a str,
    pub content: &'a [u8],
    pub checksum: &'a [u8],
}

/// The columns of `record_totals` after the id.
pub struct TotalsRow<'a> {
    pub events: usize,
    pub receipts: usize,
    pub claims: usize,
    pub checksum: &'a [u8],
}

/// A row of `state`.
pub struct StateRow<'a> {
    pub record_id: i64,
    pub digest: &'a [u8],
    pub core_digest: &'a [u8],
    pub valid_event_count: i64,
    pub invalid_event_count: i64,
    pub equivocation_count: i64,
    pub totals_checksum: &'a [u8],
    pub outline: &'a [u8],
    pub checksum: &'a [u8],
}

impl RecordRow<'_> {
    /// Returns the record, if all columns follow from its value.
    pub fn read(&self) -> Option<Record> {
        self.read_from(&msgpack::read(self.value)?)
    }

    /// Returns the record, if all columns follow from its value, which was read already.
    pub fn read_from(&self, value: &Value<'_>) -> Option<Record> {
        let record = Record::read(value)?;
        let is_whole = record.digest == self.digest
            && record.year == self.year
            && record.suffix == self.suffix
            && record.kind == self.kind
            && record.source_id == self.source_id
            && record.version == self.version;
        is_whole.then_some(record)
    }
}

impl ArrivalRow<'_> {
    /// Returns the checksum of the columns, which the stored one must equal.
    pub fn computed_checksum(&self) -> Checksum {
        row_checksum(&[
            Column::Integer(self.id),
            Column::Integer(self.record_id),
            Column::Integer(self.run_id),
            Column::Text(self.member),
            Column::Bytes(&sha256(self.content)),
        ])
    }
}

/// Returns the contents of arrivals, decompressed, one after the other.
pub fn decompress_all(rows: &[ArrivalRow<'_>], codec: &mut Codec<'_>) -> Option<Vec<Vec<u8>>> {
    rows.iter()
        .map(|row| {
            if row.content.is_empty() {
                Some(vec![])
            } else {
                codec.decompress(row.content)
            }
        })
        .collect()
}

/// Returns the contents of arrivals, if they are what the totals of the record say.
pub fn read_contents<'a>(
    rows: &[ArrivalRow<'_>],
    packed: &'a [Vec<u8>],
    totals: &TotalsRow<'_>,
) -> Option<Vec<Contents<'a>>> {
    let contents: Vec<Contents<'a>> = packed
        .iter()
        .map(|one| Contents::read(one))
        .collect::<Option<_>>()?;
    let mut checksum = [0; 16];
    for row in rows {
        for (one, other) in checksum.iter_mut().zip(row.computed_checksum()) {
            *one ^= other;
        }
    }
    let events: usize = contents.iter().map(|one| one.events().len()).sum();
    let receipts: usize = contents.iter().map(|one| one.receipts().len()).sum();
    let claims: usize = contents
        .iter()
        .filter_map(Contents::claims)
        .map(|one| one.len())
        .sum();
    let is_whole = (events, receipts, claims) == (totals.events, totals.receipts, totals.claims)
        && totals.checksum == checksum;
    is_whole.then_some(contents)
}

impl StateRow<'_> {
    /// Whether the row is intact, and has the columns of a state of these totals.
    pub fn is(&self, state: &State, totals: &TotalsRow<'_>, codec: &mut Codec<'_>) -> bool {
        let is_digest = |one: &Digest, other: &[u8]| one == other;
        self.is_intact()
            && is_digest(&state.digest, self.digest)
            && is_digest(&state.core_digest, self.core_digest)
            && state.valid_event_count as i64 == self.valid_event_count
            && self.invalid_event_count == 0
            && state.equivocation_count as i64 == self.equivocation_count
            && self.totals_checksum == totals.checksum
            && codec
                .decompress(self.outline)
                .is_some_and(|outline| outline == state.outline)
    }

    /// Whether the row has the checksum that is stored with it.
    pub fn is_intact(&self) -> bool {
        let computed = row_checksum(&[
            Column::Integer(self.record_id),
            Column::Bytes(self.digest),
            Column::Bytes(self.core_digest),
            Column::Integer(self.valid_event_count),
            Column::Integer(self.invalid_event_count),
            Column::Integer(self.equivocation_count),
            Column::Bytes(self.totals_checksum),
            Column::Bytes(self.outline),
        ]);
        computed == self.checksum
    }
}
