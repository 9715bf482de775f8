//! Calls as bytes, and back.
//!
//! There is one sequence of bytes for each call: what is decoded encodes to what it was decoded
//! from. Every part has its length before it. A call begins with the word for its action, then
//! come its fields, in the layout in which they are signed, and last the signatures. Decoding
//! checks what cannot be said of a call in memory: that the bytes end where the call does, that
//! digests have their length and choices exist. What a decoded call means is for the contract.

mod acts;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use super::act::Act;
use super::call::{Call, Order, Proof, SignedCall, Terms};
use super::error::Code;
use super::identity::{AliasId, AuthorityId, DoctorId, HospitalId, Party, PatientId};
use super::message::{Content, Draft, Message, RecordId, RecordKind};
use super::summary::{Outcome, Sex, Summary, Term};
use reader::Reader;

/// The bytes of a call.
pub fn encode(call: &SignedCall) -> Vec<u8> {
    let message = Message::empty().part(call.call().kind().as_bytes());
    let message = match call.call() {
        Call::Submit(draft) | Call::Propose(draft) => write_content(message, draft.content()),
        Call::Confirm { rid, pid, signed } => message.digest(&rid.0).digest(&pid.0).digest(signed),
        Call::Order(order) => write_terms(message, order.terms()),
    };
    let signature = |proof: Option<&Proof>| proof.map_or(Vec::new(), signature);
    let message = message
        .part(&signature(call.first()))
        .part(&signature(call.second()))
        .number(call.further().len() as u64);
    let further = call.further().iter();
    let message = further.fold(message, |message, (party, proof)| {
        party.write(message).part(&self::signature(proof))
    });
    message.into_bytes()
}

/// The call that these bytes are. Refuses bytes that are none; signatures that are false are for
/// the contract to refuse.
pub fn decode(bytes: &[u8]) -> Result<SignedCall, Code> {
    let mut reader = Reader::new(bytes);
    let kind = reader.text(Code::UnknownTx)?;
    let call = match kind {
        "submit" => Call::Submit(Draft::new(content(&mut reader)?)),
        "propose" => Call::Propose(Draft::new(content(&mut reader)?)),
        "confirm" => Call::Confirm {
            rid: RecordId(reader.digest()?),
            pid: PatientId(reader.digest()?),
            signed: reader.digest()?,
        },
        kind => Call::Order(Order::new(terms(kind, &mut reader)?)),
    };
    let first = reader.signature()?;
    let second = reader.signature()?;
    let mut further = Vec::new();
    for _ in 0..reader.number()? {
        let by = party(&mut reader)?;
        further.push((by, reader.signature()?.ok_or(Code::BadHashLength)?));
    }
    reader.finish()?;
    Ok(SignedCall::with_further(call, first, second, further))
}

/// A signature after the key that made it, or is said to have.
fn signature(proof: &Proof) -> Vec<u8> {
    [&proof.by().0[..], &proof.signature().0].concat()
}

/// Adds what an order says to a message, all but the word for it.
fn write_terms(message: Message, terms: &Terms) -> Message {
    let message = message.number(u64::from(terms.chain));
    let message = terms.by.write(message);
    let message = if let Act::AskContact { search, handle } = &terms.act {
        // What is signed names the search by its digest; here it is needed as a whole.
        let asked = search.terms();
        let message = message.part(asked.act.manner().kind.as_bytes());
        write_terms(message, asked).part(handle)
    } else {
        terms.act.write(message)
    };
    message.number(terms.nonce).number(terms.valid_until)
}

/// What an order of this kind says.
fn terms(kind: &str, reader: &mut Reader<'_>) -> Result<Terms, Code> {
    let act = acts::ACTS.iter().find(|(word, _)| *word == kind);
    let (_, act) = act.ok_or(Code::UnknownTx)?;
    Ok(Terms {
        chain: reader.narrow()?,
        by: party(reader)?,
        act: act(reader)?,
        nonce: reader.number()?,
        valid_until: reader.number()?,
    })
}

/// A party by kind and name.
fn party(reader: &mut Reader<'_>) -> Result<Party, Code> {
    let kind = reader.choice(&[0, 1, 2, 3, 4])?;
    let id = reader.digest()?;
    Ok(match kind {
        0 => Party::Authority(AuthorityId(id)),
        1 => Party::Hospital(HospitalId(id)),
        2 => Party::Doctor(DoctorId(id)),
        3 => Party::Patient(PatientId(id)),
        _ => Party::Alias(AliasId(id)),
    })
}

/// Adds the content of a record to a message.
fn write_content(message: Message, content: &Content) -> Message {
    let message = message
        .number(u64::from(content.chain))
        .digest(&content.rid.0)
        .digest(&content.pid.0)
        .digest(&content.did.0)
        .digest(&content.hid.0)
        .number(content.kind as u64);
    let message = content
        .summary
        .write(message)
        .digest(&content.payload_hash)
        .number(content.payload_bytes);
    let message = match &content.supersedes {
        Some(rid) => message.number(1).digest(&rid.0),
        None => message.number(0),
    };
    message
        .digest(&content.contact)
        .number(content.nonce)
        .number(content.valid_until)
}

/// The content of a record.
fn content(reader: &mut Reader<'_>) -> Result<Content, Code> {
    Ok(Content {
        chain: reader.narrow()?,
        rid: RecordId(reader.digest()?),
        pid: PatientId(reader.digest()?),
        did: DoctorId(reader.digest()?),
        hid: HospitalId(reader.digest()?),
        kind: reader.choice(&KINDS)?,
        summary: Arc::new(summary(reader)?),
        payload_hash: reader.digest()?,
        payload_bytes: reader.number()?,
        supersedes: match reader.flag()? {
            true => Some(RecordId(reader.digest()?)),
            false => None,
        },
        contact: reader.digest()?,
        nonce: reader.number()?,
        valid_until: reader.number()?,
    })
}

/// The public part of a record.
fn summary(reader: &mut Reader<'_>) -> Result<Summary, Code> {
    let diagnoses = terms_of(reader)?;
    let procedures = terms_of(reader)?;
    let drugs = terms_of(reader)?;
    let [sex, age_band, outcome] = reader.bytes()?;
    let [department, high, low] = reader.bytes()?;
    Ok(Summary {
        diagnoses,
        procedures,
        drugs,
        sex: *SEXES.get(usize::from(sex)).ok_or(Code::BadEnum)?,
        age_band,
        quarter: u16::from_be_bytes([high, low]),
        outcome: *OUTCOMES.get(usize::from(outcome)).ok_or(Code::BadEnum)?,
        department,
    })
}

/// A list of medical codes.
fn terms_of(reader: &mut Reader<'_>) -> Result<Vec<Term>, Code> {
    let mut list = Vec::new();
    for _ in 0..reader.number()? {
        list.push(reader.term()?);
    }
    Ok(list)
}

/// The kinds of records by number.
const KINDS: [RecordKind; 5] = [
    RecordKind::Consultation,
    RecordKind::Admission,
    RecordKind::Laboratory,
    RecordKind::Imaging,
    RecordKind::Prescription,
];

/// The sexes by number.
const SEXES: [Sex; 4] = [Sex::Male, Sex::Female, Sex::Other, Sex::Unknown];

/// The outcomes by number.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Cured,
    Outcome::Improved,
    Outcome::Unchanged,
    Outcome::Worse,
    Outcome::Died,
    Outcome::Unknown,
];
