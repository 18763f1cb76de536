//! What the engine does with one bundle or one stored record.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bundle::{self, AliasClaim, Facts};
use crate::content::{self, Codec, Contents, Dictionary};
use crate::event::{Event, Receipt, Signatures};
use crate::merge::{merge, State};
use crate::record::Record;
use crate::settings::Settings;
use crate::signature::are_valid;
use crate::stored::{decompress_all, read_contents, ArrivalRow, RecordRow, StateRow, TotalsRow};
use crate::value::{Digest, Value};
use crate::{json, msgpack};

/// Verifies and merges under one key set.
pub struct Engine {
    pub settings: Settings,
    pub dictionary: Dictionary,
    panics: AtomicUsize,
}

/// Facts to store, and the state if the record has no other facts.
pub struct NewFacts {
    pub record: Record,
    pub claims: usize,
    pub receipts: usize,
    pub events: usize,
    /// The column `content`, compressed.
    pub content: Vec<u8>,
    pub key_ids: Vec<String>,
    pub state: StateColumns,
}

/// A state whose outline is compressed.
pub struct StateColumns {
    pub state: State,
    pub outline: Vec<u8>,
}

/// A bundle that passes every rule.
pub struct Verified {
    pub pith_number: String,
    pub events: usize,
    pub receipts: usize,
    pub facts: Option<NewFacts>,
}

/// A stored record with all that belongs to it.
pub struct StoredRecord<'a> {
    pub record: RecordRow<'a>,
    pub arrivals: Vec<ArrivalRow<'a>>,
    pub totals: TotalsRow<'a>,
}

/// What `check` found to compare with two indexes.
pub struct Checked {
    pub key_ids: Vec<String>,
    pub citing: Vec<String>,
}

impl Engine {
    pub fn new(settings: Settings, dictionary: &[u8]) -> Engine {
        let dictionary = Dictionary::new(dictionary);
        Engine {
            settings,
            dictionary,
            panics: AtomicUsize::new(0),
        }
    }

    /// How many times a panic was caught.
    pub fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    /// Calls a function for each item; None for those it panics on or whose signatures are invalid.
    fn each<T, R>(
        &self,
        items: &[T],
        work: impl Fn(&T, &mut Codec<'_>, &mut Signatures) -> Option<R>,
    ) -> Vec<Option<R>> {
        let mut codec = self.dictionary.codec();
        let mut signatures = Signatures::new();
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let start = signatures.len();
            let attempt = catch_unwind(AssertUnwindSafe(|| {
                work(item, codec.as_mut()?, &mut signatures)
            }));
            let result = attempt.unwrap_or_else(|_| {
                self.panics.fetch_add(1, Ordering::Relaxed);
                codec = self.dictionary.codec();
                None
            });
            if result.is_none() {
                signatures.truncate(start);
            }
            results.push((result, start..signatures.len()));
        }
        let valid = are_valid(&signatures);
        let is_valid = |range: std::ops::Range<usize>| valid[range].iter().all(|one| *one);
        results
            .into_iter()
            .map(|(one, range)| one.filter(|_| is_valid(range)))
            .collect()
    }

    /// Verifies bundles, each a text and whether it is MessagePack; encodes their facts if asked.
    pub fn verify(
        &self,
        bundles: &[(&[u8], bool)],
        now: i64,
        encode: bool,
    ) -> Vec<Option<Verified>> {
        self.each(bundles, |(data, is_packed), codec, signatures| {
            let value = if *is_packed {
                msgpack::read(data)?
            } else {
                json::read(data)?
            };
            let size = data.len();
            let (record, facts) = bundle::verify(&value, size, &self.settings, now, signatures)?;
            Some(Verified {
                pith_number: record.pith_number.clone(),
                events: facts.events.len(),
                receipts: facts.receipts.len(),
                facts: if encode {
                    Some(self.encode(record, &facts, codec)?)
                } else {
                    None
                },
            })
        })
    }

    fn encode(&self, record: Record, facts: &Facts<'_>, codec: &mut Codec<'_>) -> Option<NewFacts> {
        let packed = content::pack(facts);
        Some(NewFacts {
            claims: facts.claims.len(),
            receipts: facts.receipts.len(),
            events: facts.events.len(),
            content: if packed.is_empty() {
                packed
            } else {
                codec.compress(&packed)?
            },
            key_ids: facts.key_ids(&self.settings),
            state: self.merge(&record, facts, codec)?,
            record,
        })
    }

    fn merge(
        &self,
        record: &Record,
        facts: &Facts<'_>,
        codec: &mut Codec<'_>,
    ) -> Option<StateColumns> {
        let state = merge(record, facts, &self.settings);
        let outline = codec.compress(&state.outline)?;
        Some(StateColumns { state, outline })
    }

    /// Returns the facts of contents that stored records lack, and the states with them.
    pub fn extend(&self, items: &[(StoredRecord<'_>, &[u8])]) -> Vec<Option<NewFacts>> {
        self.each(items, |(stored, content), codec, _| {
            let record = stored.record.read()?;
            let packed = decompress_all(&stored.arrivals, codec)?;
            let contents = read_contents(&stored.arrivals, &packed, &stored.totals)?;
            let mut known = valid_facts(&contents, &self.settings)?;
            let packed = if content.is_empty() {
                vec![]
            } else {
                codec.decompress(content)?
            };
            let new = Contents::read(&packed)?;
            let mut new = new.valid_facts(&self.settings)?;
            known.remove_from(&mut new);
            let packed = content::pack(&new);
            let mut found = NewFacts {
                claims: new.claims.len(),
                receipts: new.receipts.len(),
                events: new.events.len(),
                content: if packed.is_empty() {
                    packed
                } else {
                    codec.compress(&packed)?
                },
                key_ids: new.key_ids(&self.settings),
                state: StateColumns {
                    state: State::default(),
                    outline: vec![],
                },
                record,
            };
            known.append(new);
            found.state = self.merge(&found.record, &known, codec)?;
            Some(found)
        })
    }

    /// Merges stored records from their stored verdicts: that every fact is valid.
    ///
    /// Tells of each state whether the given row is this state already.
    pub fn replay(
        &self,
        items: &[(StoredRecord<'_>, Option<StateRow<'_>>)],
    ) -> Vec<Option<(StateColumns, bool)>> {
        self.each(items, |(stored, row), codec, _| {
            let record = stored.record.read()?;
            let packed = decompress_all(&stored.arrivals, codec)?;
            let contents = read_contents(&stored.arrivals, &packed, &stored.totals)?;
            let facts = valid_facts(&contents, &self.settings)?;
            let state = merge(&record, &facts, &self.settings);
            let is_stored = row
                .as_ref()
                .is_some_and(|row| row.is(&state, &stored.totals, codec));
            let outline = if is_stored {
                vec![]
            } else {
                codec.compress(&state.outline)?
            };
            Some((StateColumns { state, outline }, is_stored))
        })
    }

    /// Verifies everything of stored records again, and compares it with their rows.
    pub fn check(&self, items: &[(StoredRecord<'_>, StateRow<'_>)]) -> Vec<Option<Checked>> {
        self.each(items, |(stored, row), codec, signatures| {
            let record = stored.record.read()?;
            let is_intact = |row: &ArrivalRow<'_>| row.computed_checksum() == row.checksum;
            if !stored.arrivals.iter().all(is_intact) {
                return None;
            }
            let packed = decompress_all(&stored.arrivals, codec)?;
            let contents = read_contents(&stored.arrivals, &packed, &stored.totals)?;
            let mut facts = Facts::default();
            for content in &contents {
                facts.append(self.verify_content(content, &record, signatures)?);
            }
            let state = merge(&record, &facts, &self.settings);
            let is_right = row.is(&state, &stored.totals, codec);
            let key_ids = facts.key_ids(&self.settings);
            is_right.then_some(Checked {
                key_ids,
                citing: state.citing,
            })
        })
    }

    /// Returns the facts of an arrival if they pass every rule, and hash to their digests.
    fn verify_content<'v>(
        &'v self,
        content: &'v Contents<'v>,
        record: &Record,
        signatures: &mut Signatures,
    ) -> Option<Facts<'v>> {
        let settings = &self.settings;
        let claims = content.claims()?.into_iter().map(|one| one.checked(record));
        let claims: Option<Vec<AliasClaim<'v>>> = claims.collect();
        let receipt = |(digest, value): &'v (Digest, Value<'v>)| {
            let receipt = Receipt::verify(value, record, settings, signatures)?;
            (receipt.digest == *digest).then_some(receipt)
        };
        let receipts: Option<Vec<Receipt<'v>>> = content.receipts().iter().map(receipt).collect();
        let event = |(digest, value): &'v (Digest, Value<'v>)| {
            let event = Event::verify(value, record, settings, signatures)?;
            (event.digest == *digest).then_some(event)
        };
        let events: Option<Vec<Event<'v>>> = content.events().iter().map(event).collect();
        Some(Facts {
            claims: claims?,
            receipts: receipts?,
            events: events?,
        })
    }
}

/// Returns all facts of contents whose stored verdicts are that they are valid.
fn valid_facts<'v>(contents: &'v [Contents<'v>], settings: &'v Settings) -> Option<Facts<'v>> {
    let mut facts = Facts::default();
    for content in contents {
        facts.append(content.valid_facts(settings)?);
    }
    Some(facts)
}
