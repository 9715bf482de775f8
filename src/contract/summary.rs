//! The public part of a record: codes and bands, no free text, nothing that names a person.

use std::fmt;

use super::error::Code;
use super::message::Message;

/// A code of a medical classification: up to eight capital letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term([u8; 8]);

impl Term {
    /// The code with this text; of longer texts the first eight bytes. A zero byte ends the text.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 8];
        let text = text.bytes().take_while(|&byte| byte != 0);
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = from;
        }
        Self(bytes)
    }

    /// Its letters and digits.
    pub fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(8);
        &self.0[..end]
    }

    /// The first three characters: the group of a diagnosis.
    #[must_use]
    pub fn group(&self) -> Self {
        let mut bytes = [0; 8];
        bytes[..3].copy_from_slice(&self.0[..3]);
        Self(bytes)
    }

    /// The text with what another has beyond its length.
    #[must_use]
    pub(super) fn completed(&self, by: &str) -> Self {
        let mut bytes = Self::new(by).0;
        bytes[..self.text().len()].copy_from_slice(self.text());
        Self(bytes)
    }

    /// The text as a number: in the order of the texts, and those that begin alike side by side.
    pub(super) fn key(&self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// Whether this has the form of an ICD-10 code without its dot, such as `E119`.
    pub fn is_diagnosis(&self) -> bool {
        let text = self.text();
        (3..=7).contains(&text.len())
            && text[0].is_ascii_uppercase()
            && text[1].is_ascii_digit()
            && text[2..].iter().all(|&byte| is_plain(byte))
    }

    /// Whether this has the form of an ATC code of a substance, such as `A10BA02`.
    pub fn is_drug(&self) -> bool {
        let form = b"A00AA00";
        let text = self.text();
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'A' => byte.is_ascii_uppercase(),
                _ => byte.is_ascii_digit(),
            })
    }

    /// Whether this has the form of an ICD-10-PCS procedure, such as `0DTJ4ZZ`.
    pub fn is_procedure(&self) -> bool {
        self.text().len() == 7 && self.text().iter().all(|&byte| is_plain(byte))
    }
}

/// Whether a byte is a capital letter or a digit.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.text()))
    }
}

/// The sex in the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sex {
    /// Male.
    Male,
    /// Female.
    Female,
    /// Neither.
    Other,
    /// Not stated.
    Unknown,
}

/// How the case went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Cured.
    Cured,
    /// Better.
    Improved,
    /// The same.
    Unchanged,
    /// Worse.
    Worse,
    /// The patient died.
    Died,
    /// Not known.
    Unknown,
}

/// The public part of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// ICD-10 codes, one to eight.
    pub diagnoses: Vec<Term>,
    /// Procedures, at most eight.
    pub procedures: Vec<Term>,
    /// ATC codes, at most sixteen.
    pub drugs: Vec<Term>,
    /// The sex in the record.
    pub sex: Sex,
    /// The age in bands of five years; everybody from ninety on is in the last one.
    pub age_band: u8,
    /// The quarter of the treatment, counted from the beginning of the year 0.
    pub quarter: u16,
    /// How the case went.
    pub outcome: Outcome,
    /// The department, by the consortium's list.
    pub department: u8,
}

/// The last age band: ninety years and older.
pub const AGE_BAND_MAX: u8 = 18;
const DIAGNOSES_MAX: usize = 8;
const PROCEDURES_MAX: usize = 8;
const DRUGS_MAX: usize = 16;

impl Summary {
    /// Whether the summary is well formed.
    pub(super) fn check(&self) -> Result<(), Code> {
        let lists = [
            (&self.diagnoses, DIAGNOSES_MAX),
            (&self.procedures, PROCEDURES_MAX),
            (&self.drugs, DRUGS_MAX),
        ];
        let formed = self.diagnoses.iter().all(Term::is_diagnosis)
            && self.procedures.iter().all(Term::is_procedure)
            && self.drugs.iter().all(Term::is_drug);
        if self.diagnoses.is_empty() {
            return Err(Code::EmptyField);
        }
        if !formed {
            return Err(Code::BadCode);
        }
        if lists.iter().any(|(list, max)| list.len() > *max) {
            return Err(Code::TooManyCodes);
        }
        if self.age_band > AGE_BAND_MAX {
            return Err(Code::BadAgeBand);
        }
        if lists.iter().any(|(list, _)| repeats(list)) {
            return Err(Code::DuplicateCode);
        }
        Ok(())
    }

    /// The canonical bytes.
    pub(super) fn message(&self) -> Message {
        self.write(Message::new(0, "summary"))
    }

    /// Adds the summary to a message.
    pub(super) fn write(&self, mut message: Message) -> Message {
        for list in [&self.diagnoses, &self.procedures, &self.drugs] {
            message = message.number(list.len() as u64);
            message = list.iter().fold(message, |m, term| m.part(term.text()));
        }
        message
            .part(&[self.sex as u8, self.age_band, self.outcome as u8])
            .part(&[
                self.department,
                (self.quarter >> 8) as u8,
                self.quarter as u8,
            ])
    }
}

/// Whether a short list has an element twice.
fn repeats(list: &[Term]) -> bool {
    list.iter()
        .enumerate()
        .any(|(at, term)| list[..at].contains(term))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            diagnoses: vec![Term::new("E119")],
            procedures: vec![Term::new("0DTJ4ZZ")],
            drugs: vec![Term::new("A10BA02")],
            sex: Sex::Female,
            age_band: 9,
            quarter: 8100,
            outcome: Outcome::Improved,
            department: 3,
        }
    }

    #[test]
    fn a_summary_is_refused_for_what_is_wrong_with_it() {
        type Damage = fn(&mut Summary);
        let cases: [(Damage, Code); 8] = [
            (|s| s.diagnoses.clear(), Code::EmptyField),
            (|s| s.diagnoses[0] = Term::new("diabetes"), Code::BadCode),
            (|s| s.drugs[0] = Term::new("A1"), Code::BadCode),
            (|s| s.procedures[0] = Term::new("0DTJ4Z"), Code::BadCode),
            (
                |s| s.drugs = vec![Term::new("A10BA02"); 17],
                Code::TooManyCodes,
            ),
            (|s| s.age_band = 19, Code::BadAgeBand),
            (|s| s.diagnoses.push(s.diagnoses[0]), Code::DuplicateCode),
            (|s| s.drugs.push(s.drugs[0]), Code::DuplicateCode),
        ];
        assert_eq!(summary().check(), Ok(()));
        for (damage, code) in cases {
            let mut summary = summary();
            damage(&mut summary);
            assert_eq!(summary.check(), Err(code), "{summary:?}");
        }
    }

    #[test]
    fn the_same_codes_in_other_lists_are_another_summary() {
        let plain = summary();
        let mut moved = summary();
        moved.procedures.clear();
        assert_ne!(
            plain.message().digest_for("summary"),
            moved.message().digest_for("summary")
        );
    }
}
