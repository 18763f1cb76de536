//! The rows of stored records in the tables of an analysis copy.
//!
//! Only of records in the ordinary case: every fact is valid under the built-in profile, no two
//! events have one id, and all members are of the types that the rules ask for. Whatever else there
//! is, Python writes: `mirror/engine/tables/record_rows.py` says what each column holds.

use std::collections::{HashMap, HashSet};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::content::{Codec, Contents, Dictionary};
use crate::database::{write, Cell, Table};
use crate::engine::StoredRecord;
use crate::record::Record;
use crate::stored::{decompress_all, read_contents, StateRow};
use crate::value::{hex, Object, Value};
use crate::{json, msgpack};

/// A stored record with everything that its rows are made from.
pub struct WholeRecord<'a> {
    pub stored: StoredRecord<'a>,
    pub state: StateRow<'a>,
    /// The source of each arrival, and when it was stored.
    pub origins: Vec<(&'a str, Option<&'a str>)>,
    /// The proved title, with the name of its source.
    pub title: Option<(&'a str, &'a str)>,
    /// The proved abstract.
    pub summary: Option<&'a str>,
    /// Event id, status and time of the last check of a time-stamp or of a capture.
    pub checks: Vec<(&'a str, &'a str, &'a str)>,
}

/// What the tables are, as Python says.
pub struct Layout {
    tables: Vec<(String, String, bool)>,
    names: HashMap<String, usize>,
    types: HashMap<String, TypeLayout>,
    words: Words,
    events_per_arrival: i64,
}

/// The table of an event type.
struct TypeLayout {
    table: usize,
    /// The members of the payload that have columns.
    members: Vec<String>,
    more: More,
}

/// The columns of a type after those of the payload.
#[derive(Clone, Copy, PartialEq)]
enum More {
    Nothing,
    Snapshot,
    Citation,
    Check,
}

struct Words {
    profile: String,
    snapshot: String,
    revocation: String,
}

impl Layout {
    /// Returns the layout of a JSON object; None if it is not what this version understands.
    pub fn read(value: &Value<'_>) -> Option<Layout> {
        let object = value.object()?;
        let mut layout = Layout {
            tables: Vec::new(),
            names: HashMap::new(),
            types: HashMap::new(),
            words: Words {
                profile: object.text("profile")?.to_owned(),
                snapshot: object.text("snapshot")?.to_owned(),
                revocation: object.text("revocation")?.to_owned(),
            },
            events_per_arrival: object.integer("events_per_arrival")?,
        };
        for table in object.list("tables")? {
            let [name, create, is_numbered] = table.list()? else {
                return None;
            };
            let name = name.text()?.to_owned();
            let is_numbered = matches!(is_numbered, Value::Bool(true));
            layout.names.insert(name.clone(), layout.tables.len());
            let create = create.text()?.to_owned();
            layout.tables.push((name, create, is_numbered));
        }
        for (name, kind) in &object.object("types")?.members {
            let kind = layout.type_layout(kind.list()?)?;
            layout.types.insert(name.to_string(), kind);
        }
        let is_complete = FIXED.iter().all(|name| layout.names.contains_key(*name));
        is_complete.then_some(layout)
    }

    fn type_layout(&self, parts: &[Value<'_>]) -> Option<TypeLayout> {
        let [table, members, more] = parts else {
            return None;
        };
        let members = members.list()?.iter();
        let more = match more.text()? {
            "" => More::Nothing,
            "snapshot" => More::Snapshot,
            "citation" => More::Citation,
            "check" => More::Check,
            _ => return None,
        };
        Some(TypeLayout {
            table: *self.names.get(table.text()?)?,
            members: members
                .map(|one| Some(one.text()?.to_owned()))
                .collect::<Option<_>>()?,
            more,
        })
    }
}

/// The tables that are not of one event type.
const FIXED: [&str; 11] = [
    "records",
    "record_categories",
    "aliases",
    "arrivals",
    "events",
    "other_events",
    "graph_references",
    "graph_claims",
    "equivocations",
    "texts",
    "citations",
];
const REFERENCE: [&str; 4] = ["title", "arxiv_id", "doi", "cited_pith_number"];
const REFERENCE_MEMBERS: [&str; 6] = [
    "title",
    "arxiv_id",
    "doi",
    "cited_pith_number",
    "index",
    "resolved",
];
/// Names that Python reads where those are missing.
const OTHER_NAMES: [&str; 3] = ["raw", "cited_title", "pith_number"];
const CLAIM: [&str; 4] = ["claim_id", "kind", "text", "status"];

/// Makes files of rows.
pub struct TableWriter {
    layout: Layout,
    dictionary: Dictionary,
    panics: AtomicUsize,
}

impl TableWriter {
    pub fn new(layout: Layout, dictionary: &[u8]) -> TableWriter {
        let dictionary = Dictionary::new(dictionary);
        TableWriter {
            layout,
            dictionary,
            panics: AtomicUsize::new(0),
        }
    }

    /// How many times a panic was caught.
    pub fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    /// Returns a SQLite file with the rows of records, and for each record whether it has them.
    pub fn part(&self, records: &[WholeRecord<'_>]) -> Option<(Vec<u8>, Vec<bool>)> {
        let mut codec = self.dictionary.codec()?;
        let mut rows = Rows::new(&self.layout);
        let mut done = Vec::with_capacity(records.len());
        for record in records {
            let before: Vec<usize> = rows.tables.iter().map(Table::len).collect();
            let add = AssertUnwindSafe(|| rows.add_record(record, &mut codec));
            let attempt = catch_unwind(add);
            if attempt.is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
                codec = self.dictionary.codec()?;
            }
            let is_done = attempt.ok().flatten().is_some();
            if !is_done {
                let tables = rows.tables.iter_mut().zip(before);
                tables.for_each(|(table, count)| table.truncate(count));
            }
            done.push(is_done);
        }
        Some((write(&mut rows.tables)?, done))
    }
}

struct Rows<'l> {
    layout: &'l Layout,
    tables: Vec<Table>,
}

/// The values that all rows of a record share.
struct About<'r> {
    whole: &'r WholeRecord<'r>,
    record: &'r Record,
    number: &'r str,
    /// The id of the last graph snapshot in force; empty without one.
    last_snapshot: &'r str,
    /// Why each event is retired, and the ids of the events that retired it as JSON.
    retired: HashMap<&'r str, (&'r str, String)>,
}

/// A valid event with the values of its columns.
struct Event<'r> {
    id: i64,
    event_id: &'r str,
    event_type: &'r str,
    target: Option<&'r str>,
    claimed_at: &'r str,
    known_at: Option<&'r str>,
    signer: &'r Object<'r>,
    payload: &'r Object<'r>,
    /// Why it is retired, and by which events.
    retired: Option<&'r (&'r str, String)>,
}

impl<'r> Event<'r> {
    fn read(
        id: i64,
        value: &'r Value<'r>,
        known_at: Option<&'r str>,
        about: &'r About<'_>,
    ) -> Option<Event<'r>> {
        let object = value.object()?;
        let event_id = object.filled_text("event_id")?;
        Some(Event {
            id,
            event_id,
            event_type: object.filled_text("event_type")?,
            target: object.filled_text("target"),
            claimed_at: object.filled_text("created_at")?,
            known_at,
            signer: object.object("signer")?,
            payload: object.object("payload")?,
            retired: about.retired.get(event_id),
        })
    }
}

impl<'l> Rows<'l> {
    fn new(layout: &'l Layout) -> Rows<'l> {
        let table = |(name, create, is_numbered): &(String, String, bool)| {
            Table::new(name.clone(), create.clone(), *is_numbered)
        };
        let tables = layout.tables.iter().map(table).collect();
        Rows { layout, tables }
    }

    fn add(&mut self, name: &str, cells: &[Cell<'_>]) -> Option<()> {
        let index = *self.layout.names.get(name)?;
        self.tables[index].add(cells)
    }

    fn add_text(&mut self, number: &str, kind: &str, event: Cell<'_>, text: &str) -> Option<()> {
        let cells = [
            Cell::Text(number),
            Cell::Text(kind),
            event,
            Cell::Text(text),
        ];
        self.add("texts", &cells)
    }

    /// Adds all rows of a record; None if Python must write them.
    fn add_record(&mut self, whole: &WholeRecord<'_>, codec: &mut Codec<'_>) -> Option<()> {
        let stored = &whole.stored;
        let value = msgpack::read(stored.record.value)?;
        let record = stored.record.read_from(&value)?;
        let packed = decompress_all(&stored.arrivals, codec)?;
        let contents = read_contents(&stored.arrivals, &packed, &stored.totals)?;
        if !whole.state.is_intact() || whole.origins.len() != contents.len() {
            return None;
        }
        let outline = codec.decompress(whole.state.outline)?;
        let outline = json::read(&outline)?;
        let outline = outline.object()?;
        let current = outline.object("current")?;
        let about = About {
            whole,
            record: &record,
            number: &record.pith_number,
            last_snapshot: match current.list("graph_snapshots")?.last() {
                Some(one) => one.object()?.text("event_id")?,
                None => "",
            },
            retired: retired(outline)?,
        };
        let claimed = self.add_events(&about, &contents)?;
        self.add_proved_texts(&about)?;
        let metadata = value.object()?.object("metadata")?;
        let categories = self.add_categories(&about, metadata)?;
        self.add_record_row(&about, metadata, &categories, outline, claimed)?;
        self.add_names(&about, outline, &contents)
    }

    fn add_proved_texts(&mut self, about: &About<'_>) -> Option<()> {
        if let Some((text, _)) = about.whole.title {
            self.add_text(about.number, "title", Cell::Null, text)?;
        }
        if let Some(text) = about.whole.summary {
            self.add_text(about.number, "abstract", Cell::Null, text)?;
        }
        Some(())
    }

    // Events --------------------------------------------------------------------------------

    /// Adds the rows of all events; returns title and id of the last snapshot, if it has a title.
    fn add_events<'r>(
        &mut self,
        about: &'r About<'r>,
        contents: &'r [Contents<'r>],
    ) -> Option<Option<(&'r str, &'r str)>> {
        let (mut ids, mut claimed) = (HashSet::new(), None);
        let arrivals = about.whole.stored.arrivals.iter().zip(&about.whole.origins);
        for ((arrival, origin), content) in arrivals.zip(contents) {
            let first = arrival.id.checked_mul(self.layout.events_per_arrival)?;
            for (at, (digest, value)) in (0..).zip(content.events()) {
                let event = Event::read(first.checked_add(at)?, value, origin.1, about)?;
                if !ids.insert(event.event_id) {
                    return None;
                }
                self.add_event(about, &event, arrival.id, origin.0, &hex(digest))?;
                self.add_of_type(about, &event)?;
                if event.event_id == about.last_snapshot {
                    claimed = self.add_graph(about.number, &event)?;
                }
            }
        }
        Some(claimed)
    }

    fn add_event(
        &mut self,
        about: &About<'_>,
        event: &Event<'_>,
        arrival: i64,
        source: &str,
        digest: &str,
    ) -> Option<()> {
        let (status, by) = match event.retired {
            Some((reason, by)) => (*reason, Some(by.as_str())),
            None => ("in force", None),
        };
        let row = [
            Cell::Integer(event.id),
            Cell::Text(about.number),
            Cell::Integer(arrival),
            Cell::Text(source),
            Cell::Text(digest),
            Cell::Text(event.event_id),
            Cell::Text(event.event_type),
            Cell::optional(event.target),
            Cell::optional(event.signer.filled_text("signer_id")),
            Cell::optional(event.signer.filled_text("signer_type")),
            Cell::optional(event.signer.filled_text("key_id")),
            Cell::Text(&self.layout.words.profile),
            Cell::Text(event.claimed_at),
            Cell::optional(event.known_at),
            Cell::Integer(1),
            Cell::Null, // the code of a refused event
            Cell::Null, // the reason
            Cell::Text(status),
            Cell::optional(by),
        ];
        self.add("events", &row)
    }

    /// Adds the row in the table of the event's type, and what a person wrote in the event.
    fn add_of_type(&mut self, about: &About<'_>, event: &Event<'_>) -> Option<()> {
        let layout = self.layout;
        let (payload, name) = (event.payload, event.event_type);
        let mut row = vec![
            Cell::Integer(event.id),
            Cell::Text(about.number),
            Cell::Text(event.event_id),
            Cell::Text(event.signer.text("signer_id")?),
            Cell::Text(event.claimed_at),
            Cell::optional(event.known_at),
            Cell::Integer(i64::from(event.retired.is_none())),
        ];
        if let Some(kind) = layout.types.get(name) {
            let members = kind.members.iter();
            let values: Vec<JsonText<'_>> =
                members.map(|one| JsonText::of(payload.get(one))).collect();
            row.extend(values.iter().map(JsonText::cell));
            let more = self.more_cells(about, event, kind.more);
            row.extend(more.iter().map(Owned::cell));
            self.tables[kind.table].add(&row)?;
        } else {
            let text = String::from_utf8(payload.canonical()).ok()?;
            row.extend([Cell::Text(name), Cell::Text(&text)]);
            self.add("other_events", &row)?;
        }
        let id = Cell::Integer(event.id);
        if let Some(note) = payload.filled_text("note") {
            self.add_text(about.number, "note", id, note)?;
        }
        let reason = payload.filled_text("reason");
        if let Some(reason) = reason.filter(|_| name == layout.words.revocation) {
            self.add_text(about.number, "reason", id, reason)?;
        }
        Some(())
    }

    fn more_cells<'r>(&self, about: &About<'r>, event: &Event<'r>, more: More) -> Vec<Owned<'r>> {
        match more {
            More::Nothing => vec![],
            More::Check => {
                let check = about
                    .whole
                    .checks
                    .iter()
                    .find(|one| one.0 == event.event_id);
                let text = |one: Option<&'r str>| Owned::Text(JsonText::Plain(one));
                vec![text(check.map(|one| one.1)), text(check.map(|one| one.2))]
            }
            // Python fills in what `citing` names.
            More::Citation => {
                let plain = |one| Owned::Text(JsonText::Plain(one));
                vec![
                    plain(None),
                    plain(None),
                    plain(Some(about.number)),
                    plain(about.arxiv_id()),
                    plain(None),
                    plain(None),
                    plain(None),
                ]
            }
            More::Snapshot => {
                let graph = event.payload.object(&self.layout.words.snapshot);
                let paper = member(graph, "paper").and_then(Value::object);
                let text = |object, name| Owned::Text(JsonText::of(member(object, name)));
                let count = |name| {
                    let part = member(graph, name).and_then(Value::object);
                    Owned::Integer(integer(member(part, "count")))
                };
                vec![
                    text(paper, "title"),
                    text(paper, "authors_text"),
                    text(paper, "headline"),
                    text(paper, "abstract_excerpt"),
                    count("references"),
                    count("claims"),
                    text(graph, "builder_version"),
                    Owned::Integer(Some(i64::from(event.event_id == about.last_snapshot))),
                ]
            }
        }
    }

    /// Adds references and claims of the last snapshot; returns its title and its id.
    fn add_graph<'r>(
        &mut self,
        number: &str,
        event: &Event<'r>,
    ) -> Option<Option<(&'r str, &'r str)>> {
        let graph = event.payload.object(&self.layout.words.snapshot);
        let id = Cell::Integer(event.id);
        if lists_references(graph) {
            return None;
        }
        for (position, one) in (0..).zip(objects(graph, "references", "sample")) {
            if OTHER_NAMES.iter().any(|name| one.get(name).is_some()) {
                return None;
            }
            let texts = REFERENCE.map(|name| JsonText::of(one.get(name)));
            let (index, other) = (
                JsonText::of(one.get("index")),
                others(one, &REFERENCE_MEMBERS),
            );
            let mut row = vec![
                Cell::Text(number),
                Cell::Integer(position),
                id,
                index.cell(),
            ];
            row.extend(texts.iter().map(JsonText::cell));
            let resolved = integer(one.get("resolved"));
            row.extend([
                resolved.map_or(Cell::Null, Cell::Integer),
                Cell::optional(other.as_deref()),
            ]);
            self.add("graph_references", &row)?;
        }
        for (position, one) in (0..).zip(objects(graph, "claims", "items")) {
            let texts = CLAIM.map(|name| JsonText::of(one.get(name)));
            let other = others(one, &CLAIM);
            let mut row = vec![Cell::Text(number), Cell::Integer(position), id];
            row.extend(texts.iter().map(JsonText::cell));
            row.push(Cell::optional(other.as_deref()));
            self.add("graph_claims", &row)?;
            if let Some(text) = one.filled_text("text") {
                self.add_text(number, "claim", id, text)?;
            }
        }
        let paper = member(graph, "paper").and_then(Value::object);
        let title = member(paper, "title").and_then(Value::filled_text);
        if let Some(title) = title {
            self.add_text(number, "title", id, title)?;
        }
        Some(title.map(|title| (title, event.event_id)))
    }

    // The record ----------------------------------------------------------------------------

    /// Adds the categories; returns all of them as JSON, the primary one first.
    fn add_categories(&mut self, about: &About<'_>, metadata: &Object<'_>) -> Option<String> {
        let primary = metadata.text("primary_cat")?;
        let mut names = vec![primary];
        for one in metadata.list("cross_cats_sorted")? {
            names.push(one.text()?);
        }
        let mut text = Vec::new();
        for (index, name) in names.iter().enumerate() {
            text.push(if index == 0 { b'[' } else { b',' });
            crate::value::write_text(name, &mut text);
        }
        text.push(b']');
        names.sort_unstable();
        names.dedup();
        for name in names {
            let cells = [
                Cell::Text(about.number),
                Cell::Text(name),
                Cell::Integer(i64::from(name == primary)),
            ];
            self.add("record_categories", &cells)?;
        }
        String::from_utf8(text).ok()
    }

    fn add_record_row(
        &mut self,
        about: &About<'_>,
        metadata: &Object<'_>,
        categories: &str,
        outline: &Object<'_>,
        claimed: Option<(&str, &str)>,
    ) -> Option<()> {
        let (record, whole) = (about.record, about.whole);
        let current = outline.object("current")?;
        let receipt = current.get("receipt").and_then(Value::object);
        let of_receipt = |name| Cell::optional(member(receipt, name).and_then(Value::filled_text));
        let count = |name| Some(Cell::Integer(outline.integer(name)?));
        let titled = match (whole.title, claimed) {
            (Some((text, source)), _) => [Some(text), Some("proved"), Some(source)],
            (None, Some((text, event_id))) => [Some(text), Some("claimed"), Some(event_id)],
            (None, None) => [None; 3],
        };
        let digests = [hex(whole.state.digest), hex(whole.state.core_digest)];
        let citations = current.list("citations").map_or(0, <[_]>::len);
        let row = [
            Cell::Text(about.number),
            Cell::Text(&record.suffix),
            Cell::Integer(record.year.parse().ok()?),
            Cell::Text(&record.kind),
            Cell::Text(&record.source_id),
            Cell::Integer(record.version),
            Cell::optional(about.arxiv_id()),
            Cell::Text(&record.canonical_sha256),
            Cell::optional(titled[0]),
            Cell::optional(titled[1]),
            Cell::optional(titled[2]),
            Cell::Text(metadata.text("primary_cat")?),
            Cell::Text(categories),
            Cell::Text(metadata.text("license")?),
            Cell::Text(metadata.text("submitted_at")?),
            of_receipt("key_id"),
            of_receipt("signed_at"),
            count("event_count")?,
            count("valid_event_count")?,
            count("invalid_event_count")?,
            count("equivocation_count")?,
            Cell::Integer(citations as i64),
            Cell::Text(&digests[0]),
            Cell::Text(&digests[1]),
            Cell::Integer(whole.origins.len() as i64),
            Cell::optional(whole.origins.first().and_then(|one| one.1)),
            Cell::optional(whole.origins.last().and_then(|one| one.1)),
        ];
        self.add("records", &row)
    }

    /// Adds aliases, arrivals and equivocations.
    fn add_names(
        &mut self,
        about: &About<'_>,
        outline: &Object<'_>,
        contents: &[Contents<'_>],
    ) -> Option<()> {
        let number = Cell::Text(about.number);
        for one in outline.object("current")?.list("source_aliases")? {
            let one = one.object()?;
            let row = [
                number,
                Cell::Text(one.text("alias_kind")?),
                Cell::Text(one.text("alias_value")?),
                Cell::optional(one.filled_text("created_at")),
            ];
            self.add("aliases", &row)?;
        }
        let arrivals = about.whole.stored.arrivals.iter().zip(&about.whole.origins);
        for ((arrival, origin), content) in arrivals.zip(contents) {
            let row = [
                Cell::Integer(arrival.id),
                number,
                Cell::Text(origin.0),
                Cell::Text(arrival.member),
                Cell::optional(origin.1),
                Cell::Integer(content.events().len() as i64),
                Cell::Integer(content.receipts().len() as i64),
                Cell::Integer(content.claims()?.len() as i64),
            ];
            self.add("arrivals", &row)?;
        }
        for (position, one) in (0..).zip(outline.list("equivocations")?) {
            let one = one.object()?;
            let json = |name| String::from_utf8(one.get(name)?.canonical()).ok();
            let (slot, ids) = (json("slot_key")?, json("event_ids")?);
            let row = [
                number,
                Cell::Integer(position),
                Cell::Text(one.text("event_type")?),
                Cell::Text(&slot),
                Cell::Text(one.text("signer_id")?),
                Cell::Text(one.text("signer_type")?),
                Cell::Text(one.text("created_at")?),
                Cell::Text(&ids),
            ];
            self.add("equivocations", &row)?;
        }
        Some(())
    }
}

impl<'r> About<'r> {
    fn arxiv_id(&self) -> Option<&'r str> {
        Some(self.record.source_id.as_str()).filter(|_| self.record.kind == "arxiv")
    }
}

/// Returns why each event is retired, and the ids of the events that retired it as JSON (M11).
fn retired<'o>(outline: &'o Object<'o>) -> Option<HashMap<&'o str, (&'o str, String)>> {
    let entry = |one: &'o Value<'o>| {
        let one = one.object()?;
        let by = String::from_utf8(one.get("by")?.canonical()).ok()?;
        Some((one.text("event_id")?, (one.text("reason")?, by)))
    };
    outline.list("retired_events")?.iter().map(entry).collect()
}

// Values ------------------------------------------------------------------------------------

/// A value as text: a string as it is, null as none, and all else as JSON.
enum JsonText<'v> {
    Plain(Option<&'v str>),
    Json(String),
}

impl<'v> JsonText<'v> {
    fn of(value: Option<&'v Value<'_>>) -> JsonText<'v> {
        match value {
            None | Some(Value::Null) => JsonText::Plain(None),
            Some(Value::Text(text)) => JsonText::Plain(Some(text)),
            Some(value) => JsonText::Json(String::from_utf8_lossy(&value.canonical()).into_owned()),
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            JsonText::Plain(text) => Cell::optional(*text),
            JsonText::Json(text) => Cell::Text(text),
        }
    }
}

/// The value of a further column of a type.
enum Owned<'v> {
    Text(JsonText<'v>),
    Integer(Option<i64>),
}

impl Owned<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Owned::Text(text) => text.cell(),
            Owned::Integer(number) => number.map_or(Cell::Null, Cell::Integer),
        }
    }
}

fn member<'v>(object: Option<&'v Object<'v>>, name: &str) -> Option<&'v Value<'v>> {
    object?.get(name)
}

/// Whether the references are a list, without an object around it.
fn lists_references(graph: Option<&Object<'_>>) -> bool {
    graph.is_some_and(|one| one.list("references").is_some())
}

/// Returns the objects in a list within an object within another; none if they are not there.
fn objects<'v>(
    object: Option<&'v Object<'v>>,
    outer: &str,
    inner: &str,
) -> impl Iterator<Item = &'v Object<'v>> {
    let list = member(object, outer)
        .and_then(Value::object)
        .and_then(|one| one.list(inner));
    list.unwrap_or_default().iter().filter_map(Value::object)
}

/// Returns an integer or a boolean.
fn integer(value: Option<&Value<'_>>) -> Option<i64> {
    match value? {
        Value::Int(number) => Some(*number),
        Value::Bool(one) => Some(i64::from(*one)),
        _ => None,
    }
}

/// Returns the members with other names as JSON; None if there are none.
fn others(object: &Object<'_>, names: &[&str]) -> Option<String> {
    let mut out = Vec::new();
    let members = object.sorted().into_iter();
    for (name, value) in members.filter(|(name, _)| !names.contains(&name.as_ref())) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        crate::value::write_text(name, &mut out);
        out.push(b':');
        value.write(&mut out);
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}
