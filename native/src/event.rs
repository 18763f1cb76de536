//! Receipts (rule S2) and events of the built-in profile (rules E1 to E4).
//!
//! `verify` collects signatures: a fact is valid if all of them turn out to be.

use std::borrow::Cow;

use crate::record::Record;
use crate::settings::{EventType, Key, MemberCheck, Settings};
use crate::signature::Recovered;
use crate::value::{
    decode_base64, hex, instant, is_digest, sha256, write_text, Digest, Object, Value,
};

/// Signatures that were judged by their bytes; each is valid if its point is its R (S1).
pub type Signatures = Vec<Recovered>;

/// A receipt that passed S2.
pub struct Receipt<'v> {
    pub object: &'v Object<'v>,
    pub digest: Digest,
}

/// An event that passed E3, with the fields that a merge reads.
pub struct Event<'v> {
    pub object: &'v Object<'v>,
    pub digest: Digest,
    pub event_id: &'v str,
    pub event_type: &'v str,
    pub kind: Option<&'v EventType>,
    pub target: &'v str,
    pub created_at: &'v str,
    /// `created_at` in microseconds.
    pub instant: i64,
    pub signer: Signer<'v>,
    pub payload: &'v Object<'v>,
    /// The canonical bytes of the payload.
    pub payload_text: Vec<u8>,
    /// The subject of the event (E4); empty for a log.
    pub slot: Vec<Option<&'v str>>,
}

/// The four members of a signer that a state shows (M6).
#[derive(Clone, Copy)]
pub struct Signer<'v> {
    pub key_id: &'v str,
    pub fingerprint: &'v str,
    pub id: &'v str,
    pub kind: &'v str,
}

impl<'v> Event<'v> {
    /// Returns the event that a value is, if it has the members that a merge reads.
    pub fn read(value: &'v Value<'v>, digest: Digest, settings: &'v Settings) -> Option<Event<'v>> {
        let object = value.object()?;
        let (payload, signer) = (object.object("payload")?, object.object("signer")?);
        let (event_type, created_at) = (object.text("event_type")?, object.text("created_at")?);
        let kind = settings.types.get(event_type);
        let slot = |kind: &'v EventType| kind.slot.iter().map(|name| payload.text(name)).collect();
        Some(Event {
            object,
            digest,
            event_id: object.text("event_id")?,
            event_type,
            kind,
            target: object.text("target")?,
            created_at,
            instant: instant(created_at)?,
            signer: Signer {
                key_id: signer.text("key_id")?,
                fingerprint: signer.text("public_key_fingerprint")?,
                id: signer.text("signer_id")?,
                kind: signer.text("signer_type")?,
            },
            payload,
            payload_text: payload.canonical(),
            slot: kind.map(slot).unwrap_or_default(),
        })
    }

    /// Returns the event if it passes every check of E3, once its signatures are valid.
    pub fn verify(
        value: &'v Value<'v>,
        record: &Record,
        settings: &'v Settings,
        signatures: &mut Signatures,
    ) -> Option<Event<'v>> {
        let mut event = Event::read(value, [0; 32], settings)?;
        let (object, limits) = (event.object, &settings.limits);
        let members = object.sorted();
        let encoded = event.encode(&members, |_| true);
        event.digest = sha256(&encoded);
        let id = sha256(&event.encode(&members, |name| name != "event_id" && name != "signature"));
        let key = settings.keys.get(event.signer.key_id)?;
        let is_sound = encoded.len() <= limits.event_bytes
            && event.payload.nesting() <= limits.payload_depth
            && event.event_id.strip_prefix("sha256:")? == hex(&id)
            && object.text("subject_pith_number")? == record.pith_number
            && (event.kind.is_some() || is_event_type(event.event_type))
            && (1..=128).contains(&event.target.chars().count())
            && event.is_signer(key)
            && key.is_valid_at(event.instant)
            && key.may_sign(event.event_type);
        let signature = object.object("signature")?;
        let is_alone = signature.has_members(2) && signature.text("algorithm")? == "ed25519";
        if !is_sound || !is_alone || !event.fits(record, settings, signatures)? {
            return None;
        }
        let signed = decode_base64(signature.text("signature_b64")?)?;
        signatures.push(key.public_key.recover(&id, &signed, &settings.tables)?);
        Some(event)
    }

    /// Returns the canonical bytes of the event's members, sorted, of those that are chosen.
    fn encode(
        &self,
        members: &[&(Cow<'v, str>, Value<'v>)],
        is_chosen: impl Fn(&str) -> bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload_text.len() + 1024);
        let mut separator = b'{';
        for (name, value) in members.iter().filter(|(name, _)| is_chosen(name)) {
            out.push(separator);
            separator = b',';
            write_text(name, &mut out);
            out.push(b':');
            if name == "payload" {
                out.extend_from_slice(&self.payload_text);
            } else {
                value.write(&mut out);
            }
        }
        out.push(b'}');
        out
    }

    fn is_signer(&self, key: &Key) -> bool {
        self.signer.fingerprint == key.fingerprint
            && self.signer.id == key.signer_id
            && self.signer.kind == key.signer_type
    }

    /// Whether target and payload fit the type's row of E4; None if a member is missing.
    fn fits(
        &self,
        record: &Record,
        settings: &Settings,
        signatures: &mut Signatures,
    ) -> Option<bool> {
        let Some(kind) = self.kind else {
            return Some(true);
        };
        if self.target != kind.target {
            return None;
        }
        for (name, check) in &kind.members {
            if !fits(self.payload.get(name)?, check, record, settings, signatures) {
                return None;
            }
        }
        let is_text = |name: &String| {
            self.payload
                .get(name)
                .is_none_or(|one| one.text().is_some())
        };
        Some(kind.optional.iter().all(is_text))
    }

    /// Whether the event withdraws itself (M5).
    pub fn is_withdrawn(&self) -> bool {
        let withdrawn = self.kind.and_then(|kind| kind.withdrawn.as_ref());
        withdrawn.is_some_and(|(name, value)| self.payload.text(name) == Some(value))
    }

    /// Who speaks, whichever key it used: `signer_id` and `signer_type`.
    pub fn authority(&self) -> (&'v str, &'v str) {
        (self.signer.id, self.signer.kind)
    }
}

/// Whether a text is written as the type of an event is (E1).
fn is_event_type(text: &str) -> bool {
    let is_letter = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(is_letter)
}

/// Whether a text is written as an event id is (E1).
fn is_event_id(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_digest)
}

/// Whether a text is three numbers, separated by dots.
fn is_version_number(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(is_number)
}

fn fits(
    value: &Value<'_>,
    check: &MemberCheck,
    record: &Record,
    settings: &Settings,
    signatures: &mut Signatures,
) -> bool {
    let is_text = |fits: fn(&str) -> bool| value.text().is_some_and(fits);
    match check {
        MemberCheck::Text => is_text(|_| true),
        MemberCheck::Object => value.object().is_some(),
        MemberCheck::Time => is_text(|text| instant(text).is_some()),
        MemberCheck::Digest => is_text(is_digest),
        MemberCheck::Base64 => is_text(|text| decode_base64(text).is_some()),
        MemberCheck::EventId => is_text(is_event_id),
        MemberCheck::VersionNumber => is_text(is_version_number),
        MemberCheck::OneOf(allowed) => allowed.iter().any(|one| value.is(one)),
        MemberCheck::Record => value.canonical() == record.encoded,
        MemberCheck::RecordDigest => value.is(&record.canonical_sha256),
        MemberCheck::Receipt => verify_receipt(value, record, settings, signatures).is_some(),
    }
}

impl<'v> Receipt<'v> {
    /// Returns the receipt that a value is, if S2 accepts it once its signature is valid.
    pub fn verify(
        value: &'v Value<'v>,
        record: &Record,
        settings: &Settings,
        signatures: &mut Signatures,
    ) -> Option<Receipt<'v>> {
        verify_receipt(value, record, settings, signatures)?;
        Receipt::read(value, sha256(&value.canonical()))
    }

    /// Returns a receipt that was verified before.
    pub fn read(value: &'v Value<'v>, digest: Digest) -> Option<Receipt<'v>> {
        Some(Receipt {
            object: value.object()?,
            digest,
        })
    }
}

/// Checks a receipt: it signs the raw digest of its record (S2).
fn verify_receipt(
    value: &Value<'_>,
    record: &Record,
    settings: &Settings,
    signatures: &mut Signatures,
) -> Option<()> {
    let receipt = value.object()?;
    let key = settings.keys.get(receipt.text("key_id")?)?;
    let is_sound = receipt.text("kind")? == "pith_receipt"
        && receipt.text("algorithm")? == "ed25519"
        && key.may_sign(&settings.words.creation)
        && key.is_valid_at(instant(receipt.text("signed_at")?)?);
    if !is_sound {
        return None;
    }
    let signed = decode_base64(receipt.text("signature_b64")?)?;
    signatures.push(
        key.public_key
            .recover(&record.digest, &signed, &settings.tables)?,
    );
    Some(())
}
