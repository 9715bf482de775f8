//! What holds of aliases: nothing that is done under one, or about one, names an institution.

use super::Share;
use crate::base::crypto::{DIGEST_BYTES, Digest, PublicKey};
use crate::contract::affair::Affair;
use crate::contract::call::{Act, Call, SignedCall};
use crate::contract::identity::{DoctorId, HospitalId, Identity, Party, Place};
use crate::contract::invariants::{Invariant, Wrongs};
use crate::contract::write::{Change, Write};
use crate::contract::{State, wire};

impl State {
    /// Whether what an accepted call does under an alias or about one tells nobody whose it is:
    /// its bytes hold no name and no key of a hospital or a doctor, and an alias does nothing but
    /// share.
    pub(in crate::contract) fn check_alias(
        &self,
        call: &SignedCall,
        writes: &[Write],
        wrongs: &mut Wrongs,
    ) {
        let Call::Order(order) = call.call() else {
            return;
        };
        let terms = order.terms();
        let by_alias = matches!(terms.by, Party::Alias(_));
        if by_alias || is_about_alias(&terms.act) {
            let silent = !self.names_an_institution(&wire::encode(call));
            wrongs.unless(silent, Invariant::Anonymity, || {
                format!("a {} for an alias names an institution", call.kind())
            });
        }
        if by_alias {
            let shares = writes.iter().all(|Write(change)| is_of_sharing(change));
            wrongs.unless(shares, Invariant::Anonymity, || {
                format!("an alias does more than share, by a {}", call.kind())
            });
        }
    }

    /// No alias is made of the key of an institution, and what is shared under one is asked for by
    /// nobody else.
    pub(in crate::contract) fn check_aliases(&self, wrongs: &mut Wrongs) {
        for key in self.directory.alias_keys() {
            wrongs.unless(!self.is_institution(key), Invariant::Anonymity, || {
                format!("an alias has the key {key:?} of an institution")
            });
        }
        let under_alias = |share: &&Share| matches!(share.to, Place::Alias(_));
        for share in self.shares.iter().filter(under_alias) {
            let by = share.order.terms().by;
            let same = by == self.directory.party(share.to);
            wrongs.unless(same, Invariant::Anonymity, || {
                format!("share {:?} is under an alias and by {by:?}", share.sid().0)
            });
        }
    }

    /// Whether a hospital or a doctor signs with a key.
    pub(in crate::contract) fn is_institution(&self, key: &PublicKey) -> bool {
        self.is_name(&HospitalId::of(key).0) || self.is_name(&DoctorId::of(key).0)
    }

    /// Whether this is the name of a hospital or a doctor.
    fn is_name(&self, name: &Digest) -> bool {
        let (hospital, doctor) = (HospitalId(*name), DoctorId(*name));
        self.directory.hospital(&hospital).is_ok() || self.directory.doctor(&doctor).is_ok()
    }

    /// Whether the name or the key of a hospital or a doctor stands anywhere in these bytes.
    pub(in crate::contract) fn names_an_institution(&self, bytes: &[u8]) -> bool {
        let windows = bytes.windows(DIGEST_BYTES as usize);
        let mut parts =
            windows.filter_map(|window| <[u8; DIGEST_BYTES as usize]>::try_from(window).ok());
        parts.any(|part| self.is_name(&Digest(part)) || self.is_institution(&PublicKey(part)))
    }
}

/// Whether an authority decides on an alias by it.
fn is_about_alias(act: &Act) -> bool {
    if let Act::Enrol(enrolment) = act {
        return matches!(enrolment.identity, Identity::Alias(_));
    }
    matches!(
        act,
        Act::SetStanding(Party::Alias(_), _) | Act::Affair(Affair::Certify(Party::Alias(_), _))
    )
}

/// Whether a change is one that asking for a record, or confirming that it came, makes.
fn is_of_sharing(change: &Change) -> bool {
    matches!(
        change,
        Change::Call(_) | Change::Nonce { .. } | Change::Share(_)
    )
}
