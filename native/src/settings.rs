//! The settings that Python hands over: trusted keys (K2), the types of events (E4), limits (B4).

use std::collections::HashMap;

use crate::signature::{PublicKey, Tables};
use crate::value::{instant, Object, Value};

/// All that verdicts and states depend on beside the bundles.
pub struct Settings {
    pub keys: HashMap<String, Key>,
    pub tables: Tables,
    pub types: HashMap<String, EventType>,
    /// The lists of `current` that hold events, in M6 order; the last is that of other types.
    pub lists: Vec<String>,
    /// The names of the built-in key, on which no `key_dependency` is recorded.
    pub built_in_names: Vec<String>,
    pub words: Words,
    pub limits: Limits,
}

/// Strings of the protocol.
pub struct Words {
    pub bundle_type: String,
    pub bundle_version: String,
    pub merge_version: String,
    pub creation: String,
    pub revocation: String,
    pub citation: String,
}

/// Sizes and counts above which a bundle takes the other way (B4, E1).
pub struct Limits {
    pub items: usize,
    pub depth: usize,
    pub record_bytes: usize,
    pub receipt_bytes: usize,
    pub event_bytes: usize,
    pub payload_depth: usize,
}

/// A trusted key (K2).
pub struct Key {
    pub public_key: PublicKey,
    pub key_id: String,
    pub fingerprint: String,
    pub signer_id: String,
    pub signer_type: String,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    event_types: Vec<String>,
    pub may_revoke_others: bool,
}

impl Key {
    /// Whether an instant is in the key's window: until is exclusive (K2).
    pub fn is_valid_at(&self, at: i64) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|end| at < end)
    }

    /// Whether the key may sign events of a type (K2).
    pub fn may_sign(&self, event_type: &str) -> bool {
        self.event_types
            .iter()
            .any(|one| one == "*" || one == event_type)
    }
}

/// A row of E4.
pub struct EventType {
    pub target: String,
    pub members: Vec<(String, MemberCheck)>,
    pub optional: Vec<String>,
    pub slot: Vec<String>,
    pub withdrawn: Option<(String, String)>,
    /// Index into `Settings::lists`; None for types without an entry in a state.
    pub shown_in: Option<usize>,
}

/// What a member of a payload must be (E4).
pub enum MemberCheck {
    Text,
    Object,
    Time,
    Digest,
    Base64,
    EventId,
    VersionNumber,
    OneOf(Vec<String>),
    Record,
    RecordDigest,
    Receipt,
}

impl MemberCheck {
    fn new(kind: &str, allowed: Vec<String>) -> Option<MemberCheck> {
        Some(match kind {
            "text" => MemberCheck::Text,
            "object" => MemberCheck::Object,
            "time" => MemberCheck::Time,
            "digest" => MemberCheck::Digest,
            "base64" => MemberCheck::Base64,
            "event_id" => MemberCheck::EventId,
            "version_number" => MemberCheck::VersionNumber,
            "one_of" => MemberCheck::OneOf(allowed),
            "record" => MemberCheck::Record,
            "record_digest" => MemberCheck::RecordDigest,
            "receipt" => MemberCheck::Receipt,
            _ => return None,
        })
    }
}

impl Settings {
    /// Returns the settings of a JSON object; None if it is not what this version understands.
    pub fn read(value: &Value<'_>) -> Option<Settings> {
        let settings = value.object()?;
        let lists = texts(settings, "lists")?;
        let keys = settings
            .list("keys")?
            .iter()
            .map(key)
            .collect::<Option<Vec<_>>>()?;
        let types = settings.object("types")?.members.iter();
        let types =
            types.map(|(name, row)| Some((name.to_string(), event_type(row.object()?, &lists)?)));
        Some(Settings {
            keys: keys
                .into_iter()
                .map(|key| (key.key_id.clone(), key))
                .collect(),
            tables: Tables::new(),
            types: types.collect::<Option<_>>()?,
            built_in_names: texts(settings, "built_in_names")?,
            words: words(settings.object("words")?)?,
            limits: limits(settings.object("limits")?)?,
            lists,
        })
    }

    /// The index of the list for types that E4 does not name.
    pub fn other_events(&self) -> usize {
        self.lists.len() - 1
    }
}

fn texts(object: &Object<'_>, name: &str) -> Option<Vec<String>> {
    object
        .list(name)?
        .iter()
        .map(|one| Some(one.text()?.to_owned()))
        .collect()
}

fn owned(object: &Object<'_>, name: &str) -> Option<String> {
    object.text(name).map(str::to_owned)
}

fn words(object: &Object<'_>) -> Option<Words> {
    Some(Words {
        bundle_type: owned(object, "bundle_type")?,
        bundle_version: owned(object, "bundle_version")?,
        merge_version: owned(object, "merge_version")?,
        creation: owned(object, "creation")?,
        revocation: owned(object, "revocation")?,
        citation: owned(object, "citation")?,
    })
}

fn limits(object: &Object<'_>) -> Option<Limits> {
    let size = |name| match object.get(name)? {
        Value::Null => Some(usize::MAX),
        value => usize::try_from(value.integer()?).ok(),
    };
    Some(Limits {
        items: size("items")?,
        depth: size("depth")?,
        record_bytes: size("record_bytes")?,
        receipt_bytes: size("receipt_bytes")?,
        event_bytes: size("event_bytes")?,
        payload_depth: size("payload_depth")?,
    })
}

fn key(value: &Value<'_>) -> Option<Key> {
    let object = value.object()?;
    let time = |name| match object.get(name)? {
        Value::Null => Some(None),
        value => instant(value.text()?).map(Some),
    };
    let public_key = crate::value::unhex(object.text("public_key_hex")?)?;
    Some(Key {
        public_key: PublicKey::new(&public_key)?,
        key_id: owned(object, "key_id")?,
        fingerprint: owned(object, "public_key_fingerprint")?,
        signer_id: owned(object, "signer_id")?,
        signer_type: owned(object, "signer_type")?,
        valid_from: time("valid_from")?,
        valid_until: time("valid_until")?,
        event_types: texts(object, "event_types")?,
        may_revoke_others: matches!(object.get("may_revoke_others"), Some(Value::Bool(true))),
    })
}

fn event_type(row: &Object<'_>, lists: &[String]) -> Option<EventType> {
    let members = row.list("members")?.iter().map(|member| {
        let [name, kind, allowed] = member.list()? else {
            return None;
        };
        let allowed = allowed
            .list()?
            .iter()
            .map(|one| Some(one.text()?.to_owned()));
        let check = MemberCheck::new(kind.text()?, allowed.collect::<Option<_>>()?)?;
        Some((name.text()?.to_owned(), check))
    });
    let withdrawn = match row.get("withdrawn")? {
        Value::Null => None,
        pair => {
            let [name, value] = pair.list()? else {
                return None;
            };
            Some((name.text()?.to_owned(), value.text()?.to_owned()))
        }
    };
    let shown_in = match row.get("shown_in")? {
        Value::Null => None,
        name => Some(lists.iter().position(|one| name.is(one))?),
    };
    Some(EventType {
        target: owned(row, "target")?,
        members: members.collect::<Option<_>>()?,
        optional: texts(row, "optional")?,
        slot: texts(row, "slot")?,
        withdrawn,
        shown_in,
    })
}
