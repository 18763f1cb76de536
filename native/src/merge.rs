//! `pith-open-graph-merge-v1`, for facts that are all valid (rules M1 to M13).

use std::collections::{HashMap, HashSet};

use crate::bundle::Facts;
use crate::event::Event;
use crate::record::Record;
use crate::settings::Settings;
use crate::value::{instant, sha256, write_integer, write_text, Digest, Object};

/// The columns of a state that a store keeps.
#[derive(Default)]
pub struct State {
    /// The state digest (M12).
    pub digest: Digest,
    /// The core digest (M12).
    pub core_digest: Digest,
    pub valid_event_count: usize,
    pub equivocation_count: usize,
    /// The text of M13 without the record and the payloads.
    pub outline: Vec<u8>,
    /// The name of the citing work in each citation in force.
    pub citing: Vec<String>,
}

/// Returns the state of a record from its facts, in whatever order they are (M1).
pub fn merge(record: &Record, facts: &Facts<'_>, settings: &Settings) -> State {
    let valid = in_order(&facts.events);
    let retired = retired(&valid, settings);
    let hidden: HashSet<&str> = retired.iter().map(|one| one.0).collect();
    let is_shown = |event: &&Event<'_>| !hidden.contains(event.event_id);
    let shown: Vec<&Event<'_>> = valid.iter().copied().filter(is_shown).collect();
    let words = &settings.words;
    let created = shown
        .iter()
        .copied()
        .find(|one| one.event_type == words.creation);
    let receipt = created.and_then(|event| event.payload.object("receipt"));
    let equivocations = equivocations(&valid, settings);
    let aliases = source_aliases(record, facts, created);
    let printed = match created {
        Some(_) => print_receipt(receipt, true),
        None => print_receipt(least_receipt(facts), false),
    };
    let key_id = receipt
        .and_then(|one| one.text("key_id"))
        .map_or(Part::Null, Part::Text);
    let counts = (valid.len(), equivocations.len());
    let groups = Part::List(equivocations);
    let why = Part::List(retired.iter().map(|(_, part)| Part::Shared(part)).collect());
    let lists = lists(&shown, settings);
    let core_lists = current(record, &lists, settings, None, &key_id);
    let lists = current(record, &lists, settings, Some(&aliases), &printed);
    let (version, groups, why) = (&settings.words.merge_version, &groups, &why);
    let parts = Parts {
        record,
        version,
        counts,
        groups,
        why,
    };
    let (full, core) = (parts.full(&lists), parts.core(&core_lists));
    State {
        digest: sha256(&full.text(Form::Canonical)),
        core_digest: sha256(&core.text(Form::Canonical)),
        outline: full.text(Form::Outline),
        valid_event_count: counts.0,
        equivocation_count: counts.1,
        citing: citing(&shown, settings),
    }
}

// Parts of a state --------------------------------------------------------------------------

/// A part of a state, which is written with its members in M6 order or sorted.
enum Part<'p> {
    Null,
    Count(usize),
    Text(&'p str),
    /// Canonical bytes of the record or of a payload.
    Raw(&'p [u8]),
    Owned(String),
    List(Vec<Part<'p>>),
    Object(Vec<(&'p str, Part<'p>)>),
    Shared(&'p Part<'p>),
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Members sorted, nothing left out: the bytes that digests are of (V2).
    Canonical,
    /// Members in M6 order, null for the record and the payloads.
    Outline,
}

impl Part<'_> {
    fn text(&self, form: Form) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        self.write(form, &mut out);
        out
    }

    fn write(&self, form: Form, out: &mut Vec<u8>) {
        match self {
            Part::Raw(_) if form == Form::Outline => out.extend_from_slice(b"null"),
            Part::Null => out.extend_from_slice(b"null"),
            Part::Count(count) => write_integer(*count as i64, out),
            Part::Text(text) => write_text(text, out),
            Part::Owned(text) => write_text(text, out),
            Part::Raw(bytes) => out.extend_from_slice(bytes),
            Part::List(items) => write_list(items, form, out),
            Part::Object(members) => write_members(members, form, out),
            Part::Shared(part) => part.write(form, out),
        }
    }
}

fn write_list(items: &[Part<'_>], form: Form, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item.write(form, out);
    }
    out.push(b']');
}

fn write_members(members: &[(&str, Part<'_>)], form: Form, out: &mut Vec<u8>) {
    let mut order: Vec<&(&str, Part<'_>)> = members.iter().collect();
    if form == Form::Canonical {
        order.sort_unstable_by_key(|member| member.0);
    }
    out.push(b'{');
    for (index, (name, part)) in order.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        part.write(form, out);
    }
    out.push(b'}');
}

type Counts = (usize, usize);
type Members<'p> = Vec<(&'p str, Part<'p>)>;

/// The parts that a state and its core share.
struct Parts<'p> {
    record: &'p Record,
    version: &'p str,
    counts: Counts,
    /// The groups of events that M4 reports.
    groups: &'p Part<'p>,
    /// Why each event is retired (M11).
    why: &'p Part<'p>,
}

impl<'p> Parts<'p> {
    /// Returns the whole state, its members in M6 order.
    fn full(&self, current: &'p Part<'p>) -> Part<'p> {
        Part::Object(vec![
            ("state_type", Part::Text("pith_open_graph_state")),
            ("state_version", Part::Text("1.0")),
            ("pith_number", Part::Text(&self.record.pith_number)),
            ("merge_version", Part::Text(self.version)),
            ("event_count", Part::Count(self.counts.0)),
            ("valid_event_count", Part::Count(self.counts.0)),
            ("invalid_event_count", Part::Count(0)),
            ("equivocation_count", Part::Count(self.counts.1)),
            ("current", Part::Shared(current)),
            ("equivocations", Part::Shared(self.groups)),
            ("invalid_events", Part::List(Vec::new())),
            ("retired_events", Part::Shared(self.why)),
        ])
    }

    /// Returns the part of a state that unsigned claims do not change (M12).
    fn core(&self, current: &'p Part<'p>) -> Part<'p> {
        let digest = &self.record.canonical_sha256;
        Part::Object(vec![
            ("pith_number", Part::Text(&self.record.pith_number)),
            ("merge_version", Part::Text(self.version)),
            ("valid_event_count", Part::Count(self.counts.0)),
            ("equivocation_count", Part::Count(self.counts.1)),
            ("canonical_sha256", Part::Text(digest)),
            ("current", Part::Shared(current)),
            ("equivocations", Part::Shared(self.groups)),
            ("retired_events", Part::Shared(self.why)),
        ])
    }
}

/// Returns `current` in M6 order: the receipt after the first list; aliases only if given.
fn current<'p>(
    record: &'p Record,
    lists: &'p [Part<'p>],
    settings: &'p Settings,
    aliases: Option<&'p Part<'p>>,
    receipt: &'p Part<'p>,
) -> Part<'p> {
    let mut members: Members<'p> = vec![("canonical_record", Part::Raw(&record.encoded))];
    members.extend(aliases.map(|one| ("source_aliases", Part::Shared(one))));
    for (index, (name, list)) in settings.lists.iter().zip(lists).enumerate() {
        members.push((name, Part::Shared(list)));
        if index == 0 {
            members.push(("receipt", Part::Shared(receipt)));
        }
    }
    Part::Object(members)
}

// M1 to M5 ----------------------------------------------------------------------------------

/// Returns each event once, ascending by instant, then by id (M1, M2).
fn in_order<'f, 'v>(events: &'f [Event<'v>]) -> Vec<&'f Event<'v>> {
    let mut seen = HashSet::new();
    let mut valid: Vec<&Event<'v>> = events
        .iter()
        .filter(|one| seen.insert(one.event_id))
        .collect();
    valid.sort_unstable_by_key(|one| (one.instant, one.event_id));
    valid
}

type Slot<'f> = ((&'f str, &'f str), &'f str, &'f [Option<&'f str>]);

fn slot_of<'f>(event: &'f Event<'_>) -> Slot<'f> {
    (event.authority(), event.event_type, &event.slot)
}

/// Returns the ids of the revocations of each revoked event, by its id (M3).
fn revocations<'f>(valid: &[&'f Event<'_>], settings: &Settings) -> HashMap<&'f str, Vec<&'f str>> {
    let is_revocation = |event: &Event<'_>| event.event_type == settings.words.revocation;
    let mut revoked: HashMap<&str, Vec<&str>> = HashMap::new();
    let others = valid.iter().filter(|one| !is_revocation(one));
    let revocable: HashMap<&str, &Event<'_>> = others.map(|one| (one.event_id, *one)).collect();
    for revocation in valid.iter().filter(|one| is_revocation(one)) {
        let key = settings.keys.get(revocation.signer.key_id);
        let may_revoke = |event: &Event<'_>| {
            revocation.authority() == event.authority()
                || key.is_some_and(|one| one.may_revoke_others)
        };
        let target = revocation
            .payload
            .text("event_id")
            .and_then(|id| revocable.get(id));
        if let Some(event) = target.filter(|one| may_revoke(one)) {
            revoked
                .entry(event.event_id)
                .or_default()
                .push(revocation.event_id);
        }
    }
    revoked
}

/// Returns the groups of different events of one signer at one instant (M4), as M9 prints them.
fn equivocations<'f>(valid: &[&'f Event<'_>], settings: &Settings) -> Vec<Part<'f>> {
    let mut groups: HashMap<(Slot<'f>, i64), Vec<&'f Event<'_>>> = HashMap::new();
    for event in valid {
        if event.kind.is_some() && event.event_type != settings.words.revocation {
            groups
                .entry((slot_of(event), event.instant))
                .or_default()
                .push(event);
        }
    }
    let differs = |group: &&Vec<&Event<'_>>| {
        group
            .iter()
            .any(|event| event.payload_text != group[0].payload_text)
    };
    let mut found: Vec<&Vec<&'f Event<'_>>> = groups.values().filter(differs).collect();
    found.sort_unstable_by_key(|group| group[0].event_id);
    found.into_iter().map(|group| equivocation(group)).collect()
}

fn equivocation<'f>(group: &[&'f Event<'_>]) -> Part<'f> {
    let first = group[0];
    let slot = first
        .slot
        .iter()
        .map(|one| one.map_or(Part::Null, Part::Text));
    Part::Object(vec![
        ("event_type", Part::Text(first.event_type)),
        ("slot_key", Part::List(slot.collect())),
        ("signer_id", Part::Text(first.signer.id)),
        ("signer_type", Part::Text(first.signer.kind)),
        ("created_at", Part::Text(first.created_at)),
        (
            "event_ids",
            Part::List(group.iter().map(|one| Part::Text(one.event_id)).collect()),
        ),
    ])
}

/// Returns the id of each event that the state no longer shows, ascending, and why (M11).
fn retired<'f>(valid: &[&'f Event<'_>], settings: &Settings) -> Vec<(&'f str, Part<'f>)> {
    let mut revoked = revocations(valid, settings);
    let mut last: HashMap<Slot<'f>, &'f str> = HashMap::new();
    for event in valid.iter().filter(|one| !one.slot.is_empty()) {
        last.insert(slot_of(event), event.event_id); // M5
    }
    let mut retired: Vec<(&str, Part<'_>)> = Vec::new();
    for event in valid {
        let last = last.get(&slot_of(event)).copied().unwrap_or(event.event_id);
        let (reason, mut by) = if let Some(by) = revoked.remove(event.event_id) {
            ("revoked", by)
        } else if last != event.event_id {
            ("superseded", vec![last])
        } else if event.is_withdrawn() {
            ("withdrawn", Vec::new())
        } else {
            continue;
        };
        by.sort_unstable();
        let part = vec![
            ("event_id", Part::Text(event.event_id)),
            ("reason", Part::Text(reason)),
            ("by", Part::List(by.into_iter().map(Part::Text).collect())),
        ];
        retired.push((event.event_id, Part::Object(part)));
    }
    retired.sort_unstable_by_key(|one| one.0);
    retired
}

// What `current` shows ----------------------------------------------------------------------

/// Returns the lists of `current`, each in M2 order (M6).
fn lists<'f>(shown: &[&'f Event<'_>], settings: &Settings) -> Vec<Part<'f>> {
    let mut lists: Vec<Vec<Part<'f>>> = settings.lists.iter().map(|_| Vec::new()).collect();
    for event in shown {
        let index = match event.kind {
            Some(kind) => kind.shown_in,
            None => Some(settings.other_events()),
        };
        if let Some(index) = index {
            lists[index].push(entry(event));
        }
    }
    lists.into_iter().map(Part::List).collect()
}

fn entry<'f>(event: &'f Event<'_>) -> Part<'f> {
    let mut members: Members<'f> = vec![("event_id", Part::Text(event.event_id))];
    if event.kind.is_none() {
        members.push(("event_type", Part::Text(event.event_type)));
    }
    members.push(("target", Part::Text(event.target)));
    members.push(("created_at", Part::Text(event.created_at)));
    let signer = vec![
        ("key_id", Part::Text(event.signer.key_id)),
        (
            "public_key_fingerprint",
            Part::Text(event.signer.fingerprint),
        ),
        ("signer_id", Part::Text(event.signer.id)),
        ("signer_type", Part::Text(event.signer.kind)),
    ];
    members.push(("signer", Part::Object(signer)));
    members.push(("payload", Part::Raw(&event.payload_text)));
    Part::Object(members)
}

const SECOND: i64 = 1_000_000;

/// Returns the aliases of R4, each with the earliest time claimed for it (M7).
fn source_aliases<'f>(
    record: &'f Record,
    facts: &Facts<'f>,
    created: Option<&'f Event<'_>>,
) -> Part<'f> {
    let first = created.map(|event| event.instant.div_euclid(SECOND) * SECOND);
    let earliest = |kind: &str, value: &str| {
        let claims = facts
            .claims
            .iter()
            .filter(|one| one.kind == kind && one.value == value);
        let claimed = claims.map(|one| (instant(one.created_at).unwrap_or(0), one.created_at));
        claimed
            .filter(|one| first.is_none_or(|first| one.0 >= first))
            .min()
    };
    let time = |kind: &str, value: &str| match (earliest(kind, value), created) {
        (Some((_, text)), _) => Part::Text(text),
        // Every time is in UTC (V5), so its text is cut after the seconds.
        (None, Some(event)) => Part::Owned(format!("{}Z", &event.created_at[..19])),
        (None, None) => Part::Null,
    };
    let alias = |(kind, value): &'f (&'static str, String)| {
        Part::Object(vec![
            ("alias_kind", Part::Text(kind)),
            ("alias_value", Part::Text(value)),
            ("created_at", time(kind, value)),
        ])
    };
    Part::List(record.aliases.iter().map(alias).collect())
}

/// Returns the receipt that is shown where no event holds one (M8).
fn least_receipt<'f>(facts: &Facts<'f>) -> Option<&'f Object<'f>> {
    let receipts = facts.receipts.iter().map(|one| one.object);
    receipts.min_by_key(|one| (one.text("key_id"), one.text("signature_b64")))
}

/// Returns a receipt as M8 prints it; the time only if an event signs it.
fn print_receipt<'f>(receipt: Option<&'f Object<'f>>, is_signed: bool) -> Part<'f> {
    let Some(receipt) = receipt else {
        return Part::Null;
    };
    let text = |name| receipt.text(name).map_or(Part::Null, Part::Text);
    let names = ["algorithm", "key_id", "kind", "signature_b64"];
    let mut members: Members<'f> = names.into_iter().map(|name| (name, text(name))).collect();
    members.push((
        "signed_at",
        if is_signed {
            text("signed_at")
        } else {
            Part::Null
        },
    ));
    Part::Object(members)
}

fn citing(shown: &[&Event<'_>], settings: &Settings) -> Vec<String> {
    let citations = shown
        .iter()
        .filter(|one| one.event_type == settings.words.citation);
    citations
        .map(|one| one.payload.text("citing").unwrap_or("").to_owned())
        .collect()
}
