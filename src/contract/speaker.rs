//! Who signs for a patient: the patient, or a custodian whom the patient has enabled.
//!
//! A custodian signs what the patient would sign, with the custodian's own key, and by name; the
//! patient's own place among the signatures stays empty. What a custodian has signed is marked
//! with the name.

use super::call::{Call, SignedCall};
use super::error::Code;
use super::identity::{Party, PatientId, Place};
use super::proof::Proof;
use super::rules::Mutant;
use super::view::View;
use crate::base::crypto::Digest;

/// Who signs for a patient, by place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signer {
    pub(super) patient: u32,
    /// Who does so instead of the patient.
    pub(super) custodian: Option<u32>,
}

impl View<'_> {
    /// Refuses the support of parties that are not registered.
    pub(super) fn check_further(&mut self, call: &SignedCall) -> Result<(), Code> {
        let mut further = call.further().iter();
        if further.any(|(party, _)| self.place(party).is_err()) {
            return Err(Code::UnknownSigner);
        }
        Ok(())
    }

    /// Who signs a call for the patient of this name. Refuses patients and custodians whose
    /// signatures do not count.
    pub(super) fn signer(&mut self, pid: &PatientId, call: &SignedCall) -> Result<Signer, Code> {
        let patient = self.patient(pid)?;
        let custodian = self.custodian_in(patient, call);
        let own = self.check_may_sign(Place::Patient(patient));
        let other = custodian.map_or(Ok(()), |at| self.check_may_sign(Place::Patient(at)));
        let failed = [own, other].into_iter().filter_map(Result::err).min();
        failed.map_or(Ok(Signer { patient, custodian }), Err)
    }

    /// The custodian who signs a call for a patient, if the patient does not.
    pub(super) fn custodian_in(&mut self, patient: u32, call: &SignedCall) -> Option<u32> {
        let own = match call.call() {
            Call::Submit(_) => call.second(),
            Call::Confirm { .. } | Call::Order(_) => call.first(),
            Call::Propose(_) => return None,
        };
        if own.is_some() {
            return None;
        }
        call.further().iter().find_map(|(party, _)| match party {
            Party::Patient(pid) => self.patient(pid).ok().filter(|at| *at != patient),
            Party::Authority(_) | Party::Hospital(_) | Party::Doctor(_) | Party::Alias(_) => None,
        })
    }

    /// Refuses a custodian whom the patient has not enabled. Who is, is heard from then on.
    pub(super) fn check_entrusted(&mut self, signer: Signer) -> Result<(), Code> {
        let Some(custodian) = signer.custodian else {
            return Ok(());
        };
        let mut custodians = self.custodians(signer.patient).iter();
        let enabled = custodians.any(|c| c.place == custodian && c.enabled);
        if !enabled && !self.lacks(Mutant::CustodianUnchecked) {
            return Err(Code::CustodianNotEnabled);
        }
        self.speak(*self.directory().pid_at(custodian));
        Ok(())
    }

    /// The signature of a message by the patient, or by the custodian instead.
    pub(super) fn check_signer(
        &mut self,
        signer: Signer,
        message: &Digest,
        call: &SignedCall,
    ) -> Result<Proof, Code> {
        let proof = match (signer.custodian, call.call()) {
            (Some(at), _) => self.proof_by(at, call),
            (None, Call::Submit(_)) => call.second(),
            (None, Call::Propose(_) | Call::Confirm { .. } | Call::Order(_)) => call.first(),
        };
        let proof = proof.ok_or(Code::PatientSignatureMissing)?;
        let by = signer.custodian.unwrap_or(signer.patient);
        let signed = self.is_signed(Place::Patient(by), proof, message);
        if !signed && !self.lacks(Mutant::PatientUnchecked) {
            return Err(Code::PatientSignatureInvalid);
        }
        Ok(proof.clone())
    }

    /// The signature that a patient gives to a call by name.
    fn proof_by<'c>(&mut self, at: u32, call: &'c SignedCall) -> Option<&'c Proof> {
        let named = Party::Patient(*self.directory().pid_at(at));
        let found = call.further().iter().find(|(party, _)| *party == named);
        found.map(|(_, proof)| proof)
    }

    /// All names of a patient.
    pub(super) fn pseudonyms(&mut self, at: u32) -> impl Iterator<Item = &'_ PatientId> {
        self.patient_at(at);
        self.directory().pseudonyms(at)
    }
}

/// Refuses signatures that nobody has verified, besides one of a custodian: they shall not look as
/// if somebody had.
pub(super) fn check_no_strays(call: &SignedCall, by_custodian: bool) -> Result<(), Code> {
    if call.further().len() > usize::from(by_custodian) {
        return Err(Code::WrongSigner);
    }
    Ok(())
}
