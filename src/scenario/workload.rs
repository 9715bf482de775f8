//! Reads the workload: how many requests, of which kinds, by whom.

use super::law::{Latency, latency};
use super::reader::{Fields, Reader};
use super::schema::{Contact, Gateways, Load, Replies, Workload};
use super::tree::Node;
use crate::base::distribution::Law;
use crate::base::time::Span;
use crate::base::units::{Rate, Ratio};
use crate::contract::{Mix, Wish};

/// The keys of `workload`.
pub const KEYS: &[&str] = &[
    "rate",
    "even",
    "clients",
    "think",
    "until",
    "mix",
    "patients",
    "doctors",
    "zipf",
    "pid_per_record",
    "contact",
    "invalid",
    "two_faced",
    "replies",
    "retry",
    "gateways",
];
/// The keys of `workload.contact`.
pub const CONTACT_KEYS: &[&str] = &["poll", "latency"];
/// The keys of `workload.mix`.
pub const MIX_KEYS: &[&str] = &{
    let mut keys = [""; Wish::ALL.len()];
    let mut place = 0;
    while place < keys.len() {
        keys[place] = Wish::ALL[place].1;
        place += 1;
    }
    keys
};

/// Reads `workload`; Byzantine protocols make clients wait for more answers.
pub fn workload<'t>(reader: &mut Reader<'t>, node: &'t Node, byzantine: bool) -> Option<Workload> {
    let fields = reader.fields(node, KEYS)?;
    // A doctor never treats the own person, so there are two patients at least. Everybody has a
    // pair of keys, which takes time to make.
    let people = |reader: &mut Reader<'t>, key, least, most, standard| {
        let count = reader.field(fields, key, |r, n| r.count(n, least, most));
        count
            .and_then(|count| count.try_into().ok())
            .unwrap_or(standard)
    };
    let replies = [
        ("one", Replies::One),
        ("f+1", Replies::OneHonest),
        ("quorum", Replies::Quorum),
        ("all", Replies::All),
    ];
    let gateways = [
        ("honest", Gateways::Honest),
        ("all", Gateways::All),
        ("last", Gateways::Last),
    ];
    let usual = if byzantine {
        Replies::OneHonest
    } else {
        Replies::One
    };
    let load = load(reader, fields);
    let zipf = reader.or(fields, "zipf", 0, |r, n| r.thousandths(n, 0, 10_000));
    Some(Workload {
        mix: reader.or(fields, "mix", Mix::USUAL, mix),
        patients: people(reader, "patients", 2, 1_000_000, 10_000),
        doctors: people(reader, "doctors", 1, 100_000, 100),
        zipf: u32::try_from(zipf).ok()?,
        contact: reader.or(fields, "contact", default_contact(), contact),
        pid_per_record: reader.or(fields, "pid_per_record", false, Reader::flag),
        invalid: reader.or(fields, "invalid", Ratio::ZERO, Reader::quantity),
        two_faced: reader.or(fields, "two_faced", Ratio::ZERO, Reader::quantity),
        replies: reader.or(fields, "replies", usual, |r, n| r.choice(n, &replies)),
        retry: reader.or(fields, "retry", Span::from_secs(2), Reader::positive),
        gateways: reader.or(fields, "gateways", Gateways::Honest, |r, n| {
            r.choice(n, &gateways)
        }),
        until: reader.field(fields, "until", Reader::positive),
        load: load?,
    })
}

/// People who keep the mailbox open, and talk over a mobile network.
fn default_contact() -> Contact {
    Contact {
        poll: Span::from_secs(1),
        latency: Latency {
            law: Law::Lognormal {
                median: Span::from_millis(40),
                p99: Span::from_millis(200),
            },
        },
    }
}

fn contact<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Contact> {
    let fields = reader.fields(node, CONTACT_KEYS)?;
    let standard = default_contact();
    Some(Contact {
        poll: reader.or(fields, "poll", standard.poll, Reader::positive),
        latency: reader.or(fields, "latency", standard.latency, latency),
    })
}

/// Either a rate or clients.
fn load<'t>(reader: &mut Reader<'t>, fields: Fields<'t>) -> Option<Load> {
    let rate = reader.field(fields, "rate", |reader, node| {
        let rate: Rate = reader.quantity(node)?;
        if rate.per_kilosecond() == 0 {
            reader.refuse("must be greater than zero");
            return None;
        }
        Some(rate)
    });
    let clients = reader.field(fields, "clients", |r, n| r.count(n, 1, 100_000));
    let even = reader.or(fields, "even", false, Reader::flag);
    let think = reader.or(fields, "think", Span::ZERO, Reader::quantity);
    let misplaced = match (fields.has("rate"), fields.has("clients")) {
        (true, true) => Some((
            "clients",
            "stands beside `rate`: the load is one or the other",
        )),
        (false, false) => {
            reader.missing("rate", "100/s` for an open loop, or `clients: 100");
            None
        }
        (true, false) if fields.has("think") => Some((
            "think",
            "belongs to `clients`: with a `rate`, requests do not wait",
        )),
        (false, true) if fields.has("even") => Some((
            "even",
            "belongs to `rate`: clients ask when they are answered",
        )),
        (true, false) | (false, true) => None,
    };
    if let Some((key, rule)) = misplaced {
        let help = Some("remove one of the two".into());
        reader.refuse_at(&[super::tree::Step::Key(key.into())], rule, help);
        return None;
    }
    match (rate, clients) {
        (Some(rate), _) => Some(Load::Open { rate, even }),
        (None, Some(clients)) => Some(Load::Closed {
            clients: clients.try_into().ok()?,
            think,
        }),
        (None, None) => None,
    }
}

/// Weights; a kind that is not written has none.
fn mix<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Mix> {
    let before = reader.noted();
    let fields = reader.fields(node, MIX_KEYS)?;
    let weights = Wish::ALL.map(|(wish, key)| {
        let weight = reader.field(fields, key, |r, n| r.count(n, 0, 1_000_000));
        let weight = weight.and_then(|weight| u32::try_from(weight).ok());
        (wish, weight.unwrap_or(0))
    });
    let mix = Mix::of(&weights);
    if reader.noted() == before && mix.total() == 0 {
        reader.refuse_with(
            "gives no kind of call a weight",
            "write how often each kind is called, like `{ submit: 5, search: 2 }`",
        );
        return None;
    }
    Some(mix)
}
