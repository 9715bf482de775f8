//! Plausible cases for the workload: common diagnoses with the drugs, procedures and departments
//! that go with them. The mixture is ours and stands for no statistics.

use super::summary::{AGE_BAND_MAX, Outcome, Sex, Summary, Term};
use crate::base::random::mix;

/// A diagnosis with a drug, a procedure and a department that go with it.
pub(super) struct Pattern {
    diagnosis: &'static str,
    drug: &'static str,
    procedure: &'static str,
    department: u8,
}

const fn pattern(
    diagnosis: &'static str,
    drug: &'static str,
    procedure: &'static str,
    department: u8,
) -> Pattern {
    Pattern {
        diagnosis,
        drug,
        procedure,
        department,
    }
}

/// The more frequent first.
const PATTERNS: [Pattern; 32] = [
    pattern("I10", "C09AA05", "4A02X4Z", 0),
    pattern("E119", "A10BA02", "3E033VG", 0),
    pattern("J069", "R05CB06", "BW03ZZZ", 1),
    pattern("M545", "M01AE01", "BR39ZZZ", 2),
    pattern("E785", "C10AA05", "4A02X4Z", 0),
    pattern("K219", "A02BC01", "0DJ08ZZ", 3),
    pattern("J459", "R03AC02", "4A09X5Z", 1),
    pattern("N390", "J01XX01", "BT49ZZZ", 4),
    pattern("F329", "N06AB06", "GZ3ZZZZ", 5),
    pattern("I251", "B01AC06", "4A023N7", 0),
    pattern("J189", "J01CR02", "BW03ZZZ", 1),
    pattern("I489", "B01AF02", "5A2204Z", 0),
    pattern("M179", "N02BE01", "0SRD0J9", 2),
    pattern("K802", "A03BB01", "0FT44ZZ", 3),
    pattern("E039", "H03AA01", "BG44ZZZ", 0),
    pattern("G439", "N02CC01", "B030ZZZ", 6),
    pattern("I509", "C03CA01", "B245ZZZ", 0),
    pattern("N189", "C03CA01", "5A1D70Z", 4),
    pattern("C509", "L02BA01", "0HBT0ZZ", 7),
    pattern("J449", "R03BB04", "4A09X5Z", 1),
    pattern("K358", "J01DD04", "0DTJ4ZZ", 3),
    pattern("S720", "N02AX02", "0SR90J9", 2),
    pattern("I639", "B01AC04", "B030ZZZ", 6),
    pattern("C349", "L01XA01", "0BBK4ZZ", 7),
    pattern("G40909", "N03AX14", "4A00X4Z", 6),
    pattern("C189", "L01BC02", "0DTF4ZZ", 7),
    pattern("D509", "B03AA07", "30233N1", 7),
    pattern("H269", "S01BA01", "08RJ3JZ", 6),
    pattern("O800", "H01BB02", "10E0XZZ", 4),
    pattern("L409", "D05AX02", "GZ3ZZZZ", 5),
    pattern("B349", "N02BE01", "BW03ZZZ", 1),
    pattern("G20", "N04BA02", "B030ZZZ", 6),
];

/// The first quarter in which anybody is treated, and how many follow.
const QUARTERS: (u16, u16) = (2024 * 4, 8);

/// A pattern by sixty-four bits, the frequent ones more often.
fn choose(bits: u64) -> &'static Pattern {
    let rank = |bits: u64| ((bits & 0xffff) * PATTERNS.len() as u64) >> 16;
    &PATTERNS[rank(bits).min(rank(bits >> 16)) as usize]
}

/// A diagnosis by sixty-four bits, as frequent as among the cases.
pub(super) fn diagnosis(bits: u64) -> Term {
    Term::new(choose(bits).diagnosis)
}

/// The age band of a patient.
pub(super) fn age_band(patient: u32) -> u8 {
    (mix(1, u64::from(patient)) % (u64::from(AGE_BAND_MAX) + 1)) as u8
}

/// A case of a patient by sixty-four bits: age and sex stay, the rest varies.
pub(super) fn case(bits: u64, patient: u32) -> Summary {
    let main = choose(bits);
    let mut patterns = vec![main];
    if bits >> 32 & 3 == 0 {
        let other = choose(mix(bits, 2));
        if other.diagnosis != main.diagnosis {
            patterns.push(other);
        }
    }
    let mut drugs: Vec<Term> = patterns.iter().map(|p| Term::new(p.drug)).collect();
    drugs.dedup();
    let outcomes = [
        Outcome::Improved,
        Outcome::Improved,
        Outcome::Cured,
        Outcome::Cured,
        Outcome::Unchanged,
        Outcome::Unknown,
        Outcome::Worse,
        Outcome::Died,
    ];
    let operated = bits >> 40 & 3 == 0;
    Summary {
        diagnoses: patterns.iter().map(|p| Term::new(p.diagnosis)).collect(),
        procedures: operated
            .then(|| Term::new(main.procedure))
            .into_iter()
            .collect(),
        drugs,
        sex: if mix(2, u64::from(patient)) & 1 == 0 {
            Sex::Female
        } else {
            Sex::Male
        },
        age_band: age_band(patient),
        quarter: QUARTERS.0 + (bits >> 48) as u16 % QUARTERS.1,
        outcome: outcomes[(bits >> 36 & 7) as usize],
        department: main.department,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_well_formed() {
        for number in 0..20_000 {
            let case = case(mix(0, number), number as u32 % 97);
            assert_eq!(case.check(), Ok(()), "{case:?}");
        }
        for pattern in &PATTERNS {
            assert!(
                Term::new(pattern.diagnosis).is_diagnosis(),
                "{}",
                pattern.diagnosis
            );
            assert!(Term::new(pattern.drug).is_drug(), "{}", pattern.drug);
            assert!(
                Term::new(pattern.procedure).is_procedure(),
                "{}",
                pattern.procedure
            );
        }
    }
}
