//! Random calls of all kinds, judged by rules written apart from the contract, by what has to hold
//! of every change, and by what has to hold of every state; and what these notice when the
//! contract leaves a check out.

mod aliased;
mod caller;
mod pairs;
mod poison;

use std::collections::BTreeSet;

use caller::Caller;

use super::Stage;
use crate::contract::invariants::Invariant;
use crate::contract::rules::Mutant;
use crate::contract::{Receipt, Rules, SignedCall, State};
use crate::exact::oracle::Oracle;

/// Who judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The oracle alone.
    Oracle,
    /// The invariants alone.
    Invariants,
    /// Both.
    All,
}

/// The judges, with what they know.
struct Judges {
    oracle: Oracle,
    by: By,
}

/// What somebody objects to: an invariant, if it was not the oracle.
type Objection = (Option<Invariant>, String);

impl Judges {
    fn new(stage: &Stage, by: By) -> Self {
        let intact = Rules {
            mutant: None,
            ..*stage.state.rules()
        };
        Self {
            oracle: Oracle::new(&stage.people, intact),
            by,
        }
    }

    /// Executes a call, if nobody objects.
    fn execute(
        &mut self,
        state: &mut State,
        height: u64,
        call: &SignedCall,
    ) -> Result<Receipt, Objection> {
        let (receipt, writes) = state.plan(height, call);
        if self.by != By::Oracle {
            let mut broken = state.wrong_writes(height, call, (&receipt, &writes));
            if let (Some(query), Receipt::Found(answer)) = (call.search(), &receipt) {
                broken.extend(state.betrayal(query, answer));
            }
            if let Some((invariant, detail)) = broken.into_iter().next() {
                return Err((Some(invariant), detail));
            }
        }
        if self.by != By::Invariants {
            let judged = self.oracle.check(height, call, &receipt);
            judged.map_err(|objection| (None, objection))?;
        }
        state.commit(height, &writes);
        Ok(receipt)
    }

    /// What is wrong with the state in the end.
    fn finish(&self, state: &State) -> Option<Objection> {
        if self.by != By::Oracle {
            let broken = state.violated_invariants(usize::MAX).into_iter();
            let mut broken = broken.map(|(invariant, detail)| (Some(invariant), detail));
            if let Some(objection) = broken.next() {
                return Some(objection);
            }
        }
        let judged = self.by != By::Invariants;
        let unlike = judged.then(|| self.unlike(state)).flatten();
        unlike.map(|detail| (None, detail))
    }

    /// In what the lists of the state are not what the oracle expects.
    fn unlike(&self, state: &State) -> Option<String> {
        let listed = state.audit().iter();
        let listed = listed.map(|access| (access.by, access.rid, access.gid, access.height));
        let due = self.oracle.readings().iter();
        let due = due.map(|reading| (reading.by, reading.rid, reading.gid, reading.height));
        if !listed.eq(due) {
            return Some("the list of readings is another".into());
        }
        let told: usize = state.mailboxes.values().map(Vec::len).sum();
        if told != self.oracle.told_in_all() {
            return Some(format!("{told} things were told to patients"));
        }
        let counts = [state.grants.len(), state.records.len(), state.shares.len()];
        (counts != self.oracle.counts()).then(|| format!("there are {counts:?} things"))
    }
}

/// Lets anybody ask for anything, a call after another, until somebody objects or enough was
/// asked.
fn objection(seed: u64, calls: u64, rules: Rules, by: By) -> Option<Objection> {
    let mut caller = Caller::new(seed, rules);
    let mut judges = Judges::new(&caller.chaos.stage, by);
    for turn in 0..calls {
        let call = caller.next();
        let stage = &mut caller.chaos.stage;
        match judges.execute(&mut stage.state, stage.height, &call) {
            Ok(receipt) => caller.learn(&call, &receipt, turn),
            Err((invariant, detail)) => {
                return Some((invariant, format!("turn {turn}: {detail}\n{call:?}")));
            }
        }
    }
    judges.finish(&caller.chaos.stage.state)
}

#[test]
fn whatever_anybody_asks_is_answered_by_the_rules() {
    let audited = Rules {
        query_budget: Some(6),
        difference_guard: true,
        ..Rules::default()
    };
    for seed in 0..14 {
        let rules = [Rules::default(), audited][usize::from(seed % 7 == 6)];
        if let Some((invariant, detail)) = objection(seed, 600, rules, By::All) {
            panic!("seed {seed}, {invariant:?}: {detail}");
        }
    }
}

#[test]
fn the_random_calls_are_of_all_kinds_and_refused_for_many_reasons() {
    let (mut kinds, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..8 {
        let mut caller = Caller::new(seed, Rules::default());
        for turn in 0..800 {
            let call = caller.next();
            let receipt = caller.chaos.stage.apply(&call);
            match &receipt {
                Receipt::Refused(code) => _ = codes.insert(*code),
                Receipt::Accepted | Receipt::Found(_) | Receipt::Suggested(_) => {
                    kinds.insert(call.kind());
                }
            }
            caller.learn(&call, &receipt, turn);
        }
    }
    assert!(kinds.len() >= 30, "{} {kinds:?}", kinds.len());
    assert!(codes.len() >= 55, "{} {codes:?}", codes.len());
}

/// Every check that can be left out, and who notices by looking at the state alone.
const MUTANTS: &[(Mutant, Option<Invariant>)] = &[
    (Mutant::PatientUnchecked, Some(Invariant::Signatures)),
    (Mutant::CustodianUnchecked, None),
    (Mutant::SelfDealing, None),
    (Mutant::SuspendedSigns, None),
    (Mutant::LapsedCounts, None),
    (Mutant::QuorumLow, None),
    (Mutant::NonceAgain, Some(Invariant::Transitions)),
    (Mutant::DocumentAgain, Some(Invariant::Transitions)),
    (Mutant::OthersReplaced, Some(Invariant::Transitions)),
    (Mutant::RevokedUsable, Some(Invariant::Transitions)),
    (Mutant::EndedUsable, Some(Invariant::Consent)),
    (Mutant::FrozenUsable, Some(Invariant::Consent)),
    (Mutant::SpentUsable, Some(Invariant::Consent)),
    (Mutant::UsesUncounted, Some(Invariant::Transitions)),
    (Mutant::ReadingUnlisted, Some(Invariant::Readings)),
    (Mutant::ScopeUnchecked, Some(Invariant::Consent)),
    (Mutant::AnybodyReads, Some(Invariant::Consent)),
    (Mutant::EmergenciesUnlimited, Some(Invariant::Consent)),
    (Mutant::DocumentUnchecked, Some(Invariant::Deliveries)),
    (Mutant::UnapprovedDelivered, Some(Invariant::Transitions)),
    (Mutant::AnybodyConfirms, Some(Invariant::Deliveries)),
    (Mutant::AliasOfKnownKey, Some(Invariant::Anonymity)),
    (Mutant::AliasAsksAll, Some(Invariant::Anonymity)),
    (Mutant::AliasEndless, None),
    (Mutant::HandleTells, Some(Invariant::Privacy)),
    (Mutant::HiddenFound, Some(Invariant::Index)),
    (Mutant::RefusalSpends, Some(Invariant::Refusals)),
];

/// The first objection to a contract that leaves a check out.
fn caught(mutant: Mutant, by: By) -> Option<Objection> {
    let rules = Rules {
        mutant: Some(mutant),
        ..Rules::default()
    };
    (0..14).find_map(|seed| objection(seed, 600, rules, by))
}

#[test]
fn the_oracle_notices_whatever_check_is_left_out() {
    for (mutant, _) in MUTANTS {
        assert!(caught(*mutant, By::Oracle).is_some(), "{mutant:?} goes by");
    }
    let all: BTreeSet<Mutant> = MUTANTS.iter().map(|(mutant, _)| *mutant).collect();
    assert_eq!(all.len(), MUTANTS.len());
}

#[test]
fn the_invariants_notice_what_leaves_a_trace() {
    for (mutant, invariant) in MUTANTS {
        let Some(invariant) = invariant else { continue };
        let objection = caught(*mutant, By::Invariants);
        let noticed = objection.as_ref().and_then(|(noticed, _)| *noticed);
        assert_eq!(noticed, Some(*invariant), "{mutant:?}: {objection:?}");
    }
}
