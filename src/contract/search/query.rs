//! What is asked: conjunctions of conditions on the features of a case.

use crate::contract::access::Purpose;
use crate::contract::error::Code;
use crate::contract::message::Message;
use crate::contract::summary::{Outcome, Sex, Summary, Term};

/// The classifications that codes of a summary come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Coding {
    /// ICD-10 diagnoses.
    Diagnosis,
    /// ICD-10-PCS procedures.
    Procedure,
    /// ATC codes of drugs.
    Drug,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Diagnosis, Self::Procedure, Self::Drug];

    /// The codes of this classification in a summary.
    pub fn codes(self, case: &Summary) -> &[Term] {
        match self {
            Self::Diagnosis => &case.diagnoses,
            Self::Procedure => &case.procedures,
            Self::Drug => &case.drugs,
        }
    }

    /// Whether a text has the form of a whole code.
    fn is_code(self, term: &Term) -> bool {
        match self {
            Self::Diagnosis => term.is_diagnosis(),
            Self::Procedure => term.is_procedure(),
            Self::Drug => term.is_drug(),
        }
    }

    /// Whether a whole code could begin with a text: whether the text and the rest of some code
    /// have the form of one.
    fn is_beginning(self, term: &Term) -> bool {
        let example = match self {
            Self::Diagnosis => "A00",
            Self::Procedure => "0000000",
            Self::Drug => "A00AA00",
        };
        self.is_code(&term.completed(example))
    }
}

/// What a case can be found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Feature {
    /// A diagnosis, as exactly as it was coded.
    Diagnosis(Term),
    /// A procedure.
    Procedure(Term),
    /// A drug.
    Drug(Term),
    /// The sex in the record.
    Sex(Sex),
    /// The age band.
    Age(u8),
    /// The quarter of the treatment.
    Quarter(u16),
    /// How the case went.
    Outcome(Outcome),
    /// The department.
    Department(u8),
}

/// One condition of a query.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// The case has the feature.
    Has(Feature),
    /// A code of the case begins with these characters, of which there are at least
    /// [`PREFIX_MIN`].
    Begins(Coding, Term),
    /// The age band lies between these two, both included.
    Ages(u8, u8),
    /// The quarter lies between these two, both included.
    Quarters(u16, u16),
}

/// A conjunction of conditions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// One to six.
    pub conditions: Vec<Condition>,
    /// What for: the floor for research is higher.
    pub purpose: Purpose,
    /// Which page of the answer, from 0.
    pub page: u16,
}

/// Characters of a code that a condition names at least. Fewer would ask for whole chapters.
pub const PREFIX_MIN: usize = 3;
/// Conditions that a query has at most.
pub const CONDITIONS_MAX: usize = 6;

impl Query {
    /// Adds the query to a message.
    pub(in crate::contract) fn write(&self, message: Message) -> Message {
        self.write_page(message, self.page)
    }

    /// Adds what all pages of the answer share to a message.
    pub(super) fn write_question(&self, message: Message) -> Message {
        self.write_page(message, 0)
    }

    fn write_page(&self, message: Message, page: u16) -> Message {
        let message = message
            .number(self.purpose as u64)
            .number(u64::from(page))
            .number(self.conditions.len() as u64);
        self.conditions
            .iter()
            .fold(message, |message, condition| condition.write(message))
    }

    /// Whether the conditions are not too many, and their codes well formed.
    pub(in crate::contract) fn check_form(&self) -> Result<(), Code> {
        if self.conditions.len() > CONDITIONS_MAX {
            return Err(Code::FieldTooLong);
        }
        if self.conditions.iter().all(Condition::is_formed) {
            return Ok(());
        }
        Err(Code::BadCode)
    }

    /// Whether every interval begins before it ends.
    pub(in crate::contract) fn check_intervals(&self) -> Result<(), Code> {
        let backwards = self.conditions.iter().any(|condition| match condition {
            Condition::Ages(from, to) => from > to,
            Condition::Quarters(from, to) => from > to,
            Condition::Has(_) | Condition::Begins(..) => false,
        });
        if backwards {
            return Err(Code::BadInterval);
        }
        Ok(())
    }

    /// Whether anything is asked, and only for what the index knows.
    pub(in crate::contract) fn check_features(&self) -> Result<(), Code> {
        if self.conditions.is_empty() {
            return Err(Code::EmptyQuery);
        }
        let unknown = self.conditions.iter().any(|condition| match condition {
            Condition::Begins(_, term) => term.text().len() < PREFIX_MIN,
            Condition::Has(_) | Condition::Ages(..) | Condition::Quarters(..) => false,
        });
        if unknown {
            return Err(Code::UnknownFeature);
        }
        Ok(())
    }
}

impl Condition {
    /// Whether a summary fulfils the condition: what the index answers, found by looking.
    pub fn holds(&self, case: &Summary) -> bool {
        match self {
            Self::Has(Feature::Diagnosis(term)) => case.diagnoses.contains(term),
            Self::Has(Feature::Procedure(term)) => case.procedures.contains(term),
            Self::Has(Feature::Drug(term)) => case.drugs.contains(term),
            Self::Has(Feature::Sex(sex)) => case.sex == *sex,
            Self::Has(Feature::Age(band)) => case.age_band == *band,
            Self::Has(Feature::Quarter(quarter)) => case.quarter == *quarter,
            Self::Has(Feature::Outcome(outcome)) => case.outcome == *outcome,
            Self::Has(Feature::Department(department)) => case.department == *department,
            Self::Begins(coding, term) => {
                let mut codes = coding.codes(case).iter();
                codes.any(|code| code.text().starts_with(term.text()))
            }
            Self::Ages(from, to) => (*from..=*to).contains(&case.age_band),
            Self::Quarters(from, to) => (*from..=*to).contains(&case.quarter),
        }
    }

    /// Whether the code that the condition names, if it names one, has the form of one. A
    /// beginning that is too short is well formed; no feature of the index answers it.
    fn is_formed(&self) -> bool {
        match self {
            Self::Has(Feature::Diagnosis(term)) => Coding::Diagnosis.is_code(term),
            Self::Has(Feature::Procedure(term)) => Coding::Procedure.is_code(term),
            Self::Has(Feature::Drug(term)) => Coding::Drug.is_code(term),
            Self::Begins(coding, term) => coding.is_beginning(term),
            Self::Has(
                Feature::Sex(_)
                | Feature::Age(_)
                | Feature::Quarter(_)
                | Feature::Outcome(_)
                | Feature::Department(_),
            )
            | Self::Ages(..)
            | Self::Quarters(..) => true,
        }
    }

    /// Adds the condition to a message.
    fn write(&self, message: Message) -> Message {
        let feature = |kind: u64, value: &[u8]| message.number(kind).part(value);
        match self {
            Self::Has(Feature::Diagnosis(term)) => feature(0, term.text()),
            Self::Begins(Coding::Diagnosis, term) => feature(1, term.text()),
            Self::Has(Feature::Procedure(term)) => feature(2, term.text()),
            Self::Has(Feature::Drug(term)) => feature(3, term.text()),
            Self::Has(Feature::Sex(sex)) => feature(4, &[*sex as u8]),
            Self::Has(Feature::Age(band)) => feature(5, &[*band]),
            Self::Has(Feature::Quarter(quarter)) => feature(6, &quarter.to_be_bytes()),
            Self::Has(Feature::Outcome(outcome)) => feature(7, &[*outcome as u8]),
            Self::Has(Feature::Department(department)) => feature(8, &[*department]),
            Self::Ages(from, to) => feature(9, &[*from, *to]),
            Self::Quarters(from, to) => feature(10, &from.to_be_bytes()).part(&to.to_be_bytes()),
            Self::Begins(Coding::Procedure, term) => feature(11, term.text()),
            Self::Begins(Coding::Drug, term) => feature(12, term.text()),
        }
    }
}
