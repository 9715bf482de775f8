//! Consent, against a second account of it: a list of what patients said, read from the back.

use std::collections::BTreeMap;

use super::*;
use crate::base::random::{Random, Stream};

/// What was said about access, in the order in which it was said.
#[derive(Clone, Debug)]
enum Said {
    Granted {
        gid: GrantId,
        patient: u32,
        doctor: u32,
        only: Option<RecordId>,
        heights: (u64, u64),
        times: u32,
    },
    Ended(GrantId),
    Used(GrantId),
}

/// Whether the patient wants the doctor to read the record now, by this grant.
fn consents(said: &[Said], wish: (GrantId, u32, RecordId, u32), height: u64) -> bool {
    let (wanted, reader, rid, owner) = wish;
    let mut used = 0;
    for said in said.iter().rev() {
        match said {
            Said::Ended(gid) if *gid == wanted => return false,
            Said::Used(gid) if *gid == wanted => used += 1,
            Said::Granted {
                gid,
                patient,
                doctor,
                only,
                heights,
                times,
            } if *gid == wanted => {
                return *patient == owner
                    && *doctor == reader
                    && only.is_none_or(|only| only == rid)
                    && (heights.0..=heights.1).contains(&height)
                    && used < *times;
            }
            Said::Ended(_) | Said::Used(_) | Said::Granted { .. } => {}
        }
    }
    false
}

/// Says or does one thing at random, and tells whether something was read, and should have been.
fn step(
    stage: &mut Stage,
    random: &mut Random,
    records: &BTreeMap<RecordId, u32>,
    said: &mut Vec<Said>,
) -> Option<(bool, bool)> {
    let (&rid, &owner) = records
        .iter()
        .nth(random.below(records.len() as u64) as usize)
        .unwrap();
    let grants: Vec<(GrantId, u32)> = said
        .iter()
        .filter_map(|said| match said {
            Said::Granted { gid, patient, .. } => Some((*gid, *patient)),
            Said::Ended(_) | Said::Used(_) => None,
        })
        .collect();
    let known = grants.get(random.below(grants.len() as u64 + 1) as usize);
    let doctor = random.below(2) as u32;
    match (random.below(5), known) {
        (0, _) | (_, None) => {
            let only = (random.below(2) == 0).then_some(rid);
            let scope = only.map_or(Scope::All, |rid| Scope::Records(vec![rid]));
            let from = stage.height + random.below(3);
            let heights = (from, from + 1 + random.below(60));
            let times = 1 + random.below(4) as u32;
            let terms = GrantTerms {
                from: heights.0,
                until: heights.1,
                max_uses: Some(times),
                ..stage.care(doctor, scope)
            };
            said.push(Said::Granted {
                gid: stage.granted(owner, terms),
                patient: owner,
                doctor,
                only,
                heights,
                times,
            });
            None
        }
        (1, Some(&(gid, patient))) => {
            let call = stage.by_patient(patient, Act::Revoke(gid));
            if stage.apply(&call) == Receipt::Accepted {
                said.push(Said::Ended(gid));
            }
            None
        }
        (_, Some(&(gid, _))) => {
            let call = stage.by_doctor(doctor, Act::Access(gid, rid, Purpose::Care));
            let read = stage.apply(&call) == Receipt::Accepted;
            let wanted = consents(said, (gid, doctor, rid, owner), stage.height);
            if read {
                said.push(Said::Used(gid));
            }
            Some((read, wanted))
        }
    }
}

#[test]
fn a_record_is_read_exactly_when_its_patient_consents() {
    let mut granted = 0;
    for seed in 0..32 {
        let mut random = Random::new(seed, Stream::Test);
        let mut stage = Stage::new();
        let mut records = BTreeMap::new();
        for number in 0..4 {
            let patient = 8 + number % 2;
            records.insert(stage.record(0, patient), patient);
        }
        let mut said = Vec::new();
        for turn in 0..150 {
            stage.height += u64::from(random.below(3) == 0);
            if let Some((read, wanted)) = step(&mut stage, &mut random, &records, &mut said) {
                assert_eq!(read, wanted, "seed {seed} turn {turn}: {said:#?}");
                granted += u32::from(read);
            }
        }
    }
    assert!(granted > 100, "the test reads now and then: {granted}");
}
