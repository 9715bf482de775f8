//! Proofs of dishonesty. Each holds statements that no honest replica makes, signed by the
//! culprit, and anybody with the public keys can check it.

use std::sync::Arc;

use super::content::Content;
use super::statement::{Ack, Ballot, Claim, Header, Stage, Standing};
use crate::base::crypto::{
    Body, Certificate, DIGEST_BYTES, Digest, Hasher, Keyring, SIGNATURE_BYTES, Signed,
};
use crate::base::node::{Committee, NodeId};
use crate::protocol::Offence;

/// One member's signature on a statement: by itself, or among those of a certificate.
#[derive(Clone, PartialEq, Debug)]
pub enum Witness<B> {
    /// By itself.
    Word(Signed<B>),
    /// This member's part of a certificate.
    Part(Arc<Certificate<B>>, NodeId),
}

impl<B: Body> Witness<B> {
    /// What was signed.
    pub fn body(&self) -> &B {
        match self {
            Self::Word(signed) => signed.body(),
            Self::Part(certificate, _) => certificate.body(),
        }
    }

    /// By whom.
    pub fn by(&self) -> NodeId {
        match self {
            Self::Word(signed) => signed.by(),
            Self::Part(_, by) => *by,
        }
    }

    fn verify(&self, keyring: &Keyring, committee: &Committee) -> bool {
        let Some(position) = committee.position(self.by()) else {
            return false;
        };
        match self {
            Self::Word(signed) => signed.verify(keyring),
            Self::Part(certificate, _) => {
                certificate.positions().contains(position)
                    && certificate.verify(committee, 1, keyring)
            }
        }
    }

    fn size(&self) -> u32 {
        let signers = match self {
            Self::Word(_) => 1,
            Self::Part(certificate, _) => certificate.signers(),
        };
        STATEMENT_BYTES + signatures_size(signers)
    }
}

/// What convicts a member.
#[derive(Clone, PartialEq, Debug)]
pub enum Evidence {
    /// Two headers of one term that do not belong to one log: for one place, or for two in a row
    /// of which the later does not refer to the earlier.
    Equivocation(Signed<Header>, Signed<Header>),
    /// A header for a content that no honest leader proposes.
    BadPayload(Signed<Header>, Content),
    /// Votes for two candidates in one term.
    DoubleVote(Witness<Ballot>, Witness<Ballot>),
    /// A vote for a candidate who, as the vote says itself, had not come as far as the voter.
    BlindVote(Witness<Ballot>, Signed<Standing>),
    /// Votes for two logs in one round at one place of one term.
    DoubleAck(Witness<Ack>, Witness<Ack>),
    /// A vote in the second round, and in a later term a vote for a candidate bound by less.
    BrokenLock(Witness<Ack>, Witness<Ballot>),
    /// A claim that a certificate proves something, and it proves nothing.
    FalseClaim(Signed<Claim>),
}

/// Bytes of a statement without its signatures, of the largest kind.
const STATEMENT_BYTES: u32 = 24 + 2 * DIGEST_BYTES;

/// Signatures with the names of their signers.
pub(super) fn signatures_size(signers: usize) -> u32 {
    u32::try_from(signers).unwrap_or(u32::MAX / 128) * (2 + SIGNATURE_BYTES)
}

impl Evidence {
    /// Whom it accuses.
    pub fn culprit(&self) -> NodeId {
        match self {
            Self::Equivocation(header, _) | Self::BadPayload(header, _) => header.by(),
            Self::DoubleVote(ballot, _) | Self::BlindVote(ballot, _) => ballot.by(),
            Self::DoubleAck(ack, _) | Self::BrokenLock(ack, _) => ack.by(),
            Self::FalseClaim(claim) => claim.by(),
        }
    }

    /// The terms of its two statements.
    pub(super) fn terms(&self) -> [u64; 2] {
        match self {
            Self::Equivocation(a, b) => [a.body().term, b.body().term],
            Self::BadPayload(a, _) => [a.body().term; 2],
            Self::DoubleVote(a, b) => [a.body().term, b.body().term],
            Self::BlindVote(a, b) => [a.body().term, b.body().term],
            Self::DoubleAck(a, b) => [a.body().term, b.body().term],
            Self::BrokenLock(a, b) => [a.body().term, b.body().term],
            Self::FalseClaim(claim) => [claim.body().certificate.body().term; 2],
        }
    }

    /// Of what.
    pub fn offence(&self) -> Offence {
        match self {
            Self::Equivocation(..) => Offence::Equivocation,
            Self::BadPayload(..) => Offence::InvalidProposal,
            Self::DoubleVote(..) | Self::BlindVote(..) | Self::BrokenLock(..) => Offence::FalseVote,
            Self::DoubleAck(..) => Offence::FalseAck,
            Self::FalseClaim(_) => Offence::FalseCertificate,
        }
    }

    /// The digest by which an entry of the log refers to it.
    pub fn digest(&self) -> Digest {
        let two = |first: Digest, second: Digest| (first, second);
        let (kind, (first, second)) = match self {
            Self::Equivocation(a, b) => (0, two(a.body().digest(), b.body().digest())),
            Self::BadPayload(a, content) => (1, two(a.body().digest(), content.digest())),
            Self::DoubleVote(a, b) => (2, two(a.body().digest(), b.body().digest())),
            Self::BlindVote(a, b) => (3, two(a.body().digest(), b.body().digest())),
            Self::DoubleAck(a, b) => (4, two(a.body().digest(), b.body().digest())),
            Self::BrokenLock(a, b) => (5, two(a.body().digest(), b.body().digest())),
            Self::FalseClaim(a) => (6, two(a.body().digest(), Digest::ZERO)),
        };
        let hasher = Hasher::new("iraft evidence").number(kind);
        let hasher = hasher.number(u64::from(self.culprit().0));
        hasher.digest(&first).digest(&second).finish()
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        let signed = STATEMENT_BYTES + signatures_size(1);
        match self {
            Self::Equivocation(..) => 2 * signed,
            Self::BadPayload(_, content) => signed.saturating_add(content.size()),
            Self::DoubleVote(a, b) => a.size() + b.size(),
            Self::BlindVote(a, _) => a.size() + signed,
            Self::DoubleAck(a, b) => a.size() + b.size(),
            Self::BrokenLock(a, b) => a.size() + b.size(),
            Self::FalseClaim(claim) => signed + signatures_size(claim.body().certificate.signers()),
        }
    }

    /// Whether all signatures on which it rests are genuine and by the culprit.
    fn is_signed(&self, keyring: &Keyring, committee: &Committee) -> bool {
        if !committee.contains(self.culprit()) {
            return false;
        }
        match self {
            Self::Equivocation(a, b) => a.by() == b.by() && a.verify(keyring) && b.verify(keyring),
            Self::BadPayload(header, _) => header.verify(keyring),
            Self::DoubleVote(a, b) => {
                a.by() == b.by() && a.verify(keyring, committee) && b.verify(keyring, committee)
            }
            Self::BlindVote(a, b) => {
                a.by() == b.by() && a.verify(keyring, committee) && b.verify(keyring)
            }
            Self::DoubleAck(a, b) => {
                a.by() == b.by() && a.verify(keyring, committee) && b.verify(keyring, committee)
            }
            Self::BrokenLock(a, b) => {
                a.by() == b.by() && a.verify(keyring, committee) && b.verify(keyring, committee)
            }
            Self::FalseClaim(claim) => claim.verify(keyring),
        }
    }

    /// Whether no honest replica makes these statements.
    fn is_conclusive(&self, keyring: &Keyring, committee: &Committee) -> bool {
        match self {
            Self::Equivocation(a, b) => headers_conflict(a.body(), b.body()),
            Self::BadPayload(header, content) => {
                content.digest_anew() == header.body().content
                    && content.is_flawed(keyring, committee)
            }
            Self::DoubleVote(a, b) => ballots_conflict(a.body(), b.body()),
            Self::BlindVote(ballot, standing) => is_blind(ballot.body(), standing.body()),
            Self::DoubleAck(a, b) => acks_conflict(a.body(), b.body()),
            Self::BrokenLock(ack, ballot) => breaks_lock(ack.body(), ballot.body()),
            Self::FalseClaim(claim) => {
                let least = least_quorum(committee.n());
                !claim.body().certificate.verify(committee, least, keyring)
            }
        }
    }
}

/// Whom the evidence convicts, if anybody. It needs the public keys and the members the instance
/// began with, and nothing that a replica knows beyond them.
pub fn verify_evidence(
    evidence: &Evidence,
    keyring: &Keyring,
    committee: &Committee,
) -> Option<NodeId> {
    let holds =
        evidence.is_signed(keyring, committee) && evidence.is_conclusive(keyring, committee);
    holds.then(|| evidence.culprit())
}

/// The same without a look at the signatures, which convicts whom a liar likes.
#[cfg(any(test, feature = "mutants"))]
pub(super) fn believe_evidence(
    evidence: &Evidence,
    keyring: &Keyring,
    committee: &Committee,
) -> Option<NodeId> {
    let holds = evidence.is_conclusive(keyring, committee);
    holds.then(|| evidence.culprit())
}

/// Whether one leader signed two logs.
pub(super) fn headers_conflict(a: &Header, b: &Header) -> bool {
    headers_conflict_by(Header::chain, a, b)
}

/// The same where chains up to a header may be known already.
pub(super) fn headers_conflict_by(
    chain: impl Fn(&Header) -> Digest,
    a: &Header,
    b: &Header,
) -> bool {
    let parts = |before: &Header, after: &Header| {
        after.index.checked_sub(1) == Some(before.index) && chain(before) != after.previous
    };
    a.term == b.term && ((a.index == b.index && a != b) || parts(a, b) || parts(b, a))
}

/// Whether one voter voted for two candidates in one term.
pub(super) fn ballots_conflict(a: &Ballot, b: &Ballot) -> bool {
    a.term == b.term && a.candidate != b.candidate
}

/// Whether one follower stored two logs under one leader. The same place under another leader is
/// another entry: followers replace what a leader left behind, and vote for what replaces it.
pub(super) fn acks_conflict(a: &Ack, b: &Ack) -> bool {
    (a.stage, a.term, a.index) == (b.stage, b.term, b.index) && a.chain != b.chain
}

/// Whether a voter votes for a candidate it says itself is behind.
fn is_blind(ballot: &Ballot, standing: &Standing) -> bool {
    ballot.term == standing.term && !ballot.mark.is_up_to_date_with(&standing.mark)
}

/// Whether a voter forgets what it promised to hold to.
fn breaks_lock(ack: &Ack, ballot: &Ballot) -> bool {
    ack.stage == Stage::Commit
        && ballot.term > ack.term
        && !ballot.mark.is_up_to_date_with(&ack.mark())
}

/// No quorum of any profile is smaller, whoever has been excluded.
pub(super) fn least_quorum(n: usize) -> usize {
    (n - n.saturating_sub(1) / 2) / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::super::statement::Mark;
    use super::*;
    use crate::base::crypto::{Crypto, Signer};
    use crate::chain::{Batch, Transaction, TransactionId};
    use crate::contract::SignedCall;

    const CULPRIT: NodeId = NodeId(2);

    fn mark(term: u64, index: u64) -> Mark {
        let chain = Hasher::new("test").number(term).number(index).finish();
        Mark { term, index, chain }
    }

    fn header(term: u64, index: u64, previous: Digest, content: Digest) -> Header {
        Header {
            term,
            index,
            previous,
            content,
        }
    }

    fn ballot(term: u64, candidate: u16, mark: Mark) -> Ballot {
        Ballot {
            term,
            candidate: NodeId(candidate),
            mark,
        }
    }

    fn ack(stage: Stage, mark: Mark) -> Ack {
        Ack {
            stage,
            term: mark.term,
            index: mark.index,
            chain: mark.chain,
        }
    }

    /// The signatures of the culprit, made by some means.
    struct Hand<'a>(&'a Signer, bool);

    impl Hand<'_> {
        fn sign<B: Body>(&self, body: B) -> Signed<B> {
            if self.1 {
                self.0.sign(body)
            } else {
                self.0.garbage(body, CULPRIT)
            }
        }

        fn word<B: Body>(&self, body: B) -> Witness<B> {
            Witness::Word(self.sign(body))
        }

        fn part<B: Body>(&self, body: B) -> Witness<B> {
            let mut certificate = Certificate::open(body.clone());
            assert!(certificate.add(&self.sign(body), &Committee::first(4)));
            Witness::Part(Arc::new(certificate), CULPRIT)
        }
    }

    /// One proof of each kind.
    fn proofs(hand: &Hand<'_>) -> Vec<Evidence> {
        let zero = Digest::ZERO;
        let other = Hasher::new("other").finish();
        let first = header(3, 7, zero, zero);
        let id = TransactionId::new(NodeId(9), 1);
        let call = SignedCall::sample(1);
        let bare = SignedCall::new(call.call().clone(), None, None);
        let content = Content::of(Batch::new(vec![Transaction::new(id, bare)]));
        let flawed = header(3, 7, zero, content.digest());
        let claim = Claim {
            certificate: Arc::new(Certificate::open(ack(Stage::Prepare, mark(3, 7)))),
        };
        let standing = Standing {
            term: 4,
            mark: mark(3, 8),
        };
        let lie = Ack {
            chain: other,
            ..ack(Stage::Prepare, mark(3, 7))
        };
        vec![
            Evidence::Equivocation(hand.sign(first), hand.sign(header(3, 7, zero, other))),
            Evidence::Equivocation(hand.sign(header(3, 8, other, zero)), hand.sign(first)),
            Evidence::BadPayload(hand.sign(flawed), content),
            Evidence::DoubleVote(
                hand.word(ballot(4, 0, mark(3, 7))),
                hand.part(ballot(4, 1, mark(3, 7))),
            ),
            Evidence::BlindVote(hand.word(ballot(4, 0, mark(3, 7))), hand.sign(standing)),
            Evidence::DoubleAck(hand.part(ack(Stage::Prepare, mark(3, 7))), hand.word(lie)),
            Evidence::BrokenLock(
                hand.word(ack(Stage::Commit, mark(3, 7))),
                hand.word(ballot(4, 0, mark(3, 6))),
            ),
            Evidence::FalseClaim(hand.sign(claim)),
        ]
    }

    #[test]
    fn a_proof_convicts_whoever_signed_and_nobody_else() {
        let (signers, keyring) = Signer::mint(5, Crypto::Ed25519, 1);
        let judge = |evidence: &Evidence, members| {
            verify_evidence(evidence, &keyring, &Committee::first(members))
        };
        for evidence in proofs(&Hand(&signers[2], true)) {
            assert!(evidence.offence().is_proof());
            assert_eq!(judge(&evidence, 4), Some(CULPRIT), "{evidence:?}");
            assert_eq!(judge(&evidence, 2), None, "a stranger to the group");
        }
        for evidence in proofs(&Hand(&signers[0], false)) {
            assert_eq!(judge(&evidence, 4), None, "forged: {evidence:?}");
        }
        let genuine = proofs(&Hand(&signers[2], true));
        let digests: std::collections::BTreeSet<Digest> =
            genuine.iter().map(Evidence::digest).collect();
        assert_eq!(digests.len(), genuine.len());
    }

    #[test]
    fn what_honest_replicas_sign_convicts_nobody() {
        let (signers, keyring) = Signer::mint(4, Crypto::Ed25519, 1);
        let hand = Hand(&signers[2], true);
        let zero = Digest::ZERO;
        let other = Hasher::new("other").finish();
        let first = header(3, 7, zero, zero);
        let good = Content::of(Batch::empty());
        let lock = |mark| ack(Stage::Commit, mark);
        let standing = |mark| Standing { term: 4, mark };
        let harmless = [
            // The same place in another term, the next place of the same log, the same words.
            Evidence::Equivocation(hand.sign(first), hand.sign(header(4, 7, zero, other))),
            Evidence::Equivocation(
                hand.sign(first),
                hand.sign(header(3, 8, first.chain(), other)),
            ),
            Evidence::Equivocation(hand.sign(first), hand.sign(first)),
            Evidence::BadPayload(hand.sign(header(3, 7, zero, good.digest())), good.clone()),
            Evidence::BadPayload(hand.sign(first), good),
            Evidence::DoubleVote(
                hand.word(ballot(4, 0, mark(3, 7))),
                hand.word(ballot(5, 1, mark(3, 7))),
            ),
            Evidence::BlindVote(
                hand.word(ballot(4, 0, mark(3, 7))),
                hand.sign(standing(mark(3, 7))),
            ),
            Evidence::DoubleAck(
                hand.word(ack(Stage::Prepare, mark(3, 7))),
                hand.word(lock(mark(3, 7))),
            ),
            Evidence::BrokenLock(
                hand.word(ack(Stage::Prepare, mark(3, 7))),
                hand.word(ballot(4, 0, mark(3, 6))),
            ),
            Evidence::BrokenLock(
                hand.word(lock(mark(3, 7))),
                hand.word(ballot(3, 0, mark(2, 6))),
            ),
        ];
        for evidence in harmless {
            let convicts = verify_evidence(&evidence, &keyring, &Committee::first(4));
            assert_eq!(convicts, None, "{evidence:?}");
        }
    }
}
