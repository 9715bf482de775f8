//! Who has a say where several have to agree.

use std::collections::BTreeSet;

use super::{Faults, Oracle, Who};
use crate::contract::call::Order;
use crate::contract::identity::{PatientId, Standing};
use crate::contract::{Code, SignedCall};

impl Oracle {
    /// More than two thirds of the active hospitals, the asking one included.
    pub(super) fn consortium(
        &self,
        by: Who,
        order: &Order,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        let active = self.hospitals.values();
        let active = active
            .filter(|file| file.papers.standing == Standing::Active)
            .count();
        let say = |who: &Who| matches!(who, Who::Hospital(_));
        let (mut voices, strays) = self.voices(order, height, call, say);
        voices.insert(by);
        faults.when(3 * voices.len() <= 2 * active, Code::QuorumNotReached);
        faults.when(strays, Code::WrongSigner);
    }

    /// More than half of a patient's enabled custodians.
    pub(super) fn custodians_agree(
        &self,
        pid: &PatientId,
        order: &Order,
        height: u64,
        call: &SignedCall,
        faults: &mut Faults,
    ) {
        let Ok(me) = self.account(pid) else { return };
        let list = self.patients[me].custodians.iter();
        let enabled: BTreeSet<Who> = list
            .filter(|(_, _, enabled)| *enabled)
            .map(|(account, ..)| Who::Patient(*account))
            .collect();
        let (voices, strays) = self.voices(order, height, call, |who| enabled.contains(who));
        faults.when(2 * voices.len() <= enabled.len(), Code::QuorumNotReached);
        faults.when(strays, Code::WrongSigner);
    }

    /// Those who have a say and sign, and whether a signature is not of these.
    fn voices(
        &self,
        order: &Order,
        height: u64,
        call: &SignedCall,
        say: impl Fn(&Who) -> bool,
    ) -> (BTreeSet<Who>, bool) {
        let mut voices = BTreeSet::new();
        let mut strays = false;
        for (party, proof) in call.further() {
            let who = self.who(party).ok().filter(&say);
            let message = order.for_witness();
            let signed = who
                .zip(message)
                .filter(|(who, message)| Self::signs(&self.key(*who), message, proof));
            match signed {
                Some((who, _)) if self.may_sign(who, height).is_ok() => {
                    voices.insert(who);
                }
                Some(_) => {}
                None => strays = true,
            }
        }
        (voices, strays)
    }
}
