//! Bundles: from untrusted bytes to verified facts (rules B1 to B5).
//!
//! `Facts::verify` returns None for whatever is not beyond reproach: then Python judges.

use std::collections::HashSet;

use crate::event::{Event, Receipt, Signatures};
use crate::record::Record;
use crate::settings::Settings;
use crate::value::{instant, Digest, Object, Value};

/// An alias of the record, and the time that a bundle claims for it (R4, B3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasClaim<'v> {
    pub kind: &'v str,
    pub value: &'v str,
    pub created_at: &'v str,
}

/// The verified facts of one bundle or of the arrivals of one record, each once.
#[derive(Default)]
pub struct Facts<'v> {
    pub claims: Vec<AliasClaim<'v>>,
    pub receipts: Vec<Receipt<'v>>,
    pub events: Vec<Event<'v>>,
}

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Canonical bytes of a value for each byte of its text at most: of a control character, packed.
const MOST_LONGER: usize = 6;

/// Returns the record and the facts of a bundle that passes every rule without any finding.
///
/// The signatures are valid only if those that were collected turn out to be.
pub fn verify<'v>(
    value: &'v Value<'v>,
    size: usize,
    settings: &'v Settings,
    now: i64,
    signatures: &mut Signatures,
) -> Option<(Record, Facts<'v>)> {
    let bundle = value.object()?;
    let record = read_record(bundle, settings)?;
    let limits = &settings.limits;
    if limits.depth < crate::value::MAX_DEPTH && value.nesting() > limits.depth {
        return None;
    }
    let none = Value::List(Vec::new());
    let receipts = bundle.get("receipts").unwrap_or(&none).list()?;
    let (aliases, events) = (bundle.list("source_aliases")?, bundle.list("events")?);
    if [receipts.len(), aliases.len(), events.len()]
        .iter()
        .any(|count| *count > limits.items)
    {
        return None;
    }
    if size.saturating_mul(MOST_LONGER) > limits.receipt_bytes
        && receipts
            .iter()
            .any(|one| one.canonical().len() > limits.receipt_bytes)
    {
        return None;
    }
    let claims = aliases.iter().map(|item| AliasClaim::read(item, &record));
    let claims = claims.collect::<Option<_>>()?;
    let receipts = bundle.list("receipts").unwrap_or(&[]).iter();
    let receipts = receipts.map(|one| Receipt::verify(one, &record, settings, signatures));
    let receipts = receipts.collect::<Option<_>>()?;
    let events = events
        .iter()
        .map(|one| Event::verify(one, &record, settings, signatures));
    let facts = Facts {
        claims,
        receipts,
        events: events.collect::<Option<_>>()?,
    };
    let is_past = facts
        .events
        .iter()
        .all(|event| event.instant <= now.saturating_add(DAY));
    (is_past && facts.are_distinct()).then_some((record, facts))
}

fn read_record(bundle: &Object<'_>, settings: &Settings) -> Option<Record> {
    let words = &settings.words;
    let is_bundle = bundle.text("bundle_type")? == words.bundle_type
        && bundle.text("bundle_version")? == words.bundle_version;
    let record = Record::read(bundle.get("canonical_record")?)?;
    let is_right = record.encoded.len() <= settings.limits.record_bytes
        && bundle.text("canonical_sha256")? == record.canonical_sha256
        && bundle.text("pith_number")? == record.pith_number
        && bundle.text("short_pith_number")? == record.short_pith_number()
        && bundle.object("source")?.canonical() == record.source;
    (is_bundle && is_right).then_some(record)
}

impl<'v> AliasClaim<'v> {
    fn read(item: &'v Value<'v>, record: &Record) -> Option<AliasClaim<'v>> {
        let item = item.object()?;
        let (kind, value) = (item.text("alias_kind")?, item.text("alias_value")?);
        AliasClaim {
            kind,
            value,
            created_at: item.text("created_at")?,
        }
        .checked(record)
    }

    /// Returns the claim if it is of an alias of the record, and of a time (R4, V5).
    pub fn checked(self, record: &Record) -> Option<AliasClaim<'v>> {
        let is_sound =
            record.has_alias(self.kind, self.value) && instant(self.created_at).is_some();
        is_sound.then_some(self)
    }
}

impl<'v> Facts<'v> {
    /// Adds other facts.
    pub fn append(&mut self, mut other: Facts<'v>) {
        self.claims.append(&mut other.claims);
        self.receipts.append(&mut other.receipts);
        self.events.append(&mut other.events);
    }

    /// Removes from other facts those that are here.
    pub fn remove_from(&self, other: &mut Facts<'_>) {
        let claims: HashSet<AliasClaim<'_>> = self.claims.iter().copied().collect();
        let receipts: HashSet<Digest> = self.receipts.iter().map(|one| one.digest).collect();
        let events: HashSet<Digest> = self.events.iter().map(|one| one.digest).collect();
        other.claims.retain(|one| !claims.contains(one));
        other.receipts.retain(|one| !receipts.contains(&one.digest));
        other.events.retain(|one| !events.contains(&one.digest));
    }

    /// Whether no fact is there twice.
    fn are_distinct(&self) -> bool {
        let claims: HashSet<_> = self.claims.iter().collect();
        let receipts: HashSet<Digest> = self.receipts.iter().map(|one| one.digest).collect();
        let events: HashSet<Digest> = self.events.iter().map(|one| one.digest).collect();
        claims.len() == self.claims.len()
            && receipts.len() == self.receipts.len()
            && events.len() == self.events.len()
    }

    /// Whether there is any fact.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.receipts.is_empty() && self.events.is_empty()
    }

    /// Returns the names of the keys on which the verdicts rest, without the built-in key's.
    pub fn key_ids(&self, settings: &Settings) -> Vec<String> {
        let mut names: HashSet<&str> = HashSet::new();
        names.extend(
            self.receipts
                .iter()
                .filter_map(|one| one.object.text("key_id")),
        );
        for event in &self.events {
            names.insert(event.signer.key_id);
            if event.event_type == settings.words.creation {
                let receipt = event.payload.object("receipt");
                names.extend(receipt.and_then(|one| one.text("key_id")));
            }
        }
        names.retain(|name| !settings.built_in_names.iter().any(|one| one == name));
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}
