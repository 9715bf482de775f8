//! How many liars it takes, wherever they are.

use std::sync::Arc;

use super::memory::{Bench, Memory, Support};
use super::{Config, Profile};
use crate::base::crypto::{Body, Certificate, Crypto, Digest, Hasher, Keyring, Seats, Signer};
use crate::base::node::{Committee, NodeId};
use crate::protocol::pbft::{Checkpoint, Law, Message, Phase, Views, Vote};

/// One of two things that cannot both be so.
#[derive(Clone, PartialEq, Debug)]
struct Side(bool);

impl Body for Side {
    fn digest(&self) -> Digest {
        Hasher::new("side").number(u64::from(self.0)).finish()
    }
}

struct World {
    seats: Arc<Seats>,
    signers: Vec<Signer>,
    keyring: Keyring,
}

impl World {
    fn new(config: &Config, n: usize) -> Self {
        let seats = Arc::new(config.seats(&Committee::first(n), 0));
        let (signers, keyring) = Signer::mint(n, Crypto::Modelled, 1);
        let keyring = keyring.with_seats(seats.clone());
        Self {
            seats,
            signers,
            keyring,
        }
    }

    /// The certificate of a side, with all that the liars can get: so many in each group, who say
    /// anything, and the honest members that were told this side.
    fn certificate(&self, liars: &[usize], told: bool) -> bool {
        let committee = self.seats.committee();
        let mut certificate = Certificate::open(Side(told));
        let mut honest_seats = 0;
        for (group, members) in self.seats.groups().iter().enumerate() {
            let seat = Seats::name(group);
            let says = |(place, _): &(usize, &NodeId)| {
                let honest = *place >= liars[group];
                // A liar that leads asks each half of the honest members for another side. Where
                // nobody lies, the leader says one thing.
                let side = if liars[group] > 0 {
                    (place - liars[group].min(*place)) % 2 == 0
                } else {
                    honest_seats % 2 == 0
                };
                !honest || side == told
            };
            let speakers = members.members().iter().enumerate().filter(says);
            let speakers: Vec<NodeId> = speakers.map(|(_, node)| *node).collect();
            honest_seats += usize::from(liars[group] == 0);
            let Some(first) = speakers.first() else {
                continue;
            };
            let draft = self.signers[first.index()].for_seat(seat).sign(Side(told));
            let voice = |node: &NodeId| self.signers[node.index()].voice(Side(told).digest());
            let voices: Vec<_> = speakers.iter().map(voice).collect();
            let vote = draft.with_voices(&voices);
            if vote.verify(&self.keyring) {
                certificate.add(&vote, &committee);
            }
        }
        certificate.verify(&committee, committee.quorum(), &self.keyring)
    }

    fn forks(&self, liars: &[usize]) -> bool {
        self.certificate(liars, true) && self.certificate(liars, false)
    }
}

/// Every way to put so many liars into groups of m.
fn placements(groups: usize, m: usize, liars: usize) -> Vec<Vec<usize>> {
    if groups == 0 {
        return if liars == 0 {
            vec![Vec::new()]
        } else {
            Vec::new()
        };
    }
    let mut all = Vec::new();
    for here in 0..=liars.min(m) {
        for mut rest in placements(groups - 1, m, liars - here) {
            rest.push(here);
            all.push(rest);
        }
    }
    all
}

#[test]
fn certified_votes_bear_every_placement_of_the_bound_and_not_of_one_more() {
    for (k, m) in [(4, 3), (4, 4), (4, 7), (5, 4), (7, 4)] {
        let config = Config {
            groups: k,
            ..Config::default()
        };
        let world = World::new(&config, k * m);
        let bound = config.tolerated(k * m);
        let (f1, f2) = ((m - 1) / 3, (k - 1) / 3);
        assert_eq!(bound, (f1 + 1) * (f2 + 1) - 1);
        for liars in 0..=bound {
            for placement in placements(k, m, liars) {
                assert!(!world.forks(&placement), "{k} x {m}: {placement:?}");
            }
        }
        if (k, m) == (4, 4) || (k, m) == (4, 7) || (k, m) == (7, 4) {
            let beyond = placements(k, m, bound + 1);
            assert!(beyond.iter().any(|p| world.forks(p)), "{k} x {m}");
        }
    }
}

#[test]
fn without_certified_votes_any_member_may_capture_a_seat() {
    let config = Config {
        profile: Profile::Paper,
        carry_commit_cert: Some(true),
        ..Config::default()
    };
    for (k, m) in [(4, 4), (7, 4)] {
        let config = Config {
            groups: k,
            ..config.clone()
        };
        let world = World::new(&config, k * m);
        let bound = config.tolerated(k * m);
        assert_eq!(bound, (k - 1) / 3);
        for placement in placements(k, m, bound) {
            assert!(!world.forks(&placement), "{k} x {m}: {placement:?}");
        }
        let beyond = placements(k, m, bound + 1);
        assert!(beyond.iter().any(|placement| world.forks(placement)));
    }
}

#[test]
fn what_a_protocol_promises_is_never_the_third_that_others_survive() {
    let tolerated = |profile, n| {
        let config = Config {
            profile,
            ..Config::default()
        };
        config.tolerated(n)
    };
    let sizes = [12, 16, 28, 100];
    assert_eq!(sizes.map(|n| tolerated(Profile::Paper, n)), [0; 4]);
    assert_eq!(
        sizes.map(|n| tolerated(Profile::Hardened, n)),
        [1, 3, 5, 17]
    );
}

/// What the members of the first of four groups vote for, when all other groups lie.
struct Member {
    world: World,
    config: Config,
    memory: Memory,
}

impl Member {
    fn new() -> Self {
        let config = Config::default();
        Self {
            world: World::new(&config, 16),
            config,
            memory: Memory::from(0),
        }
    }

    fn vote(phase: Phase, height: u64, batch: u8) -> Vote {
        Vote {
            phase,
            view: 0,
            height,
            digest: Digest([batch; 32]),
        }
    }

    /// A certificate by all seats.
    fn certified<B: Body>(&self, body: &B) -> Certificate<B> {
        let mut certificate = Certificate::open(body.clone());
        let committee = self.world.seats.committee();
        for seat in committee.members() {
            let signed = self.world.signers[0].for_seat(*seat).sign(body.clone());
            assert!(certificate.add(&signed, &committee));
        }
        certificate
    }

    fn vouches(&mut self, vote: Vote, support: &Support) -> bool {
        let seat = Seats::name(0);
        let committee = self.world.seats.committee();
        let bench = Bench {
            law: Law {
                config: &self.config.committee,
                committee: &committee,
                keyring: &self.world.keyring,
                views: Views::ALL,
            },
            last: u64::MAX,
            seat,
            blind: true,
            own_chain: true,
        };
        let vote = self.world.signers[0].for_seat(seat).sign(vote);
        let batch = None;
        let message = match vote.body().phase {
            Phase::Prepare => Message::Prepare { vote, batch },
            Phase::Commit => Message::Commit { vote, batch },
        };
        self.memory.vouch(&message, support, &bench)
    }
}

#[test]
fn a_member_votes_no_more_where_it_forgets_what_it_has_voted_for() {
    let mut member = Member::new();
    let none = Support::default();
    assert!(member.vouches(Member::vote(Phase::Prepare, 3, 1), &none));
    assert!(!member.vouches(Member::vote(Phase::Prepare, 3, 2), &none));
    let stable = Checkpoint {
        since: 0,
        height: 20,
        chain: Digest::ZERO,
        block: Digest::ZERO,
    };
    let stable = Support {
        stable: Some(member.certified(&stable)),
        ..Support::default()
    };
    assert!(member.vouches(Member::vote(Phase::Prepare, 21, 1), &stable));
    assert!(!member.vouches(Member::vote(Phase::Prepare, 3, 2), &none));
    assert!(!member.vouches(Member::vote(Phase::Prepare, 20, 2), &none));
}

#[test]
fn a_member_commits_one_batch_in_a_view_whatever_the_committee_proves() {
    let mut member = Member::new();
    let shown = |member: &Member, batch| Support {
        proof: Some(member.certified(&Member::vote(Phase::Prepare, 3, batch))),
        ..Support::default()
    };
    let (one, two) = (shown(&member, 1), shown(&member, 2));
    assert!(member.vouches(Member::vote(Phase::Commit, 3, 1), &one));
    assert!(!member.vouches(Member::vote(Phase::Commit, 3, 2), &two));
    assert!(member.vouches(Member::vote(Phase::Commit, 3, 1), &one));
}
