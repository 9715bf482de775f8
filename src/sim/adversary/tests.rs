//! What becomes of a word that a dishonest node means to say.

use super::*;
use crate::base::crypto::{Crypto, Signer};
use crate::base::node::Committee;
use crate::base::random::Stream;
use crate::protocol::Effect;

/// What is said, by whom it claims to be said, and in which term.
#[derive(Clone, Debug, PartialEq)]
struct Say(&'static str, NodeId, u64);

impl Wire for Say {
    fn kind(&self) -> &'static str {
        self.0
    }
    fn kinds() -> Vec<&'static str> {
        vec!["yes", "no", "maybe", "never", "forged"]
    }
    fn size(&self) -> u32 {
        1
    }
    fn contradict(&self, _liar: &Signer) -> Option<Self> {
        (self.0 == "yes").then_some(Self("no", self.1, self.2))
    }
    fn forge(&self, _liar: &Signer, victim: NodeId) -> Option<Self> {
        Some(Self("forged", victim, self.2))
    }
    fn inflate(&self, _liar: &Signer, by: u64) -> Option<Self> {
        Some(Self(self.0, self.1, self.2 + by))
    }
}

/// The adversary in n0 among five, with these acts.
fn adversary(acts: Vec<Act>, accomplices: &[u16]) -> Adversary<Say> {
    let accomplices: Vec<NodeId> = accomplices.iter().copied().map(NodeId).collect();
    let random = Random::new(7, Stream::Adversary(NodeId(0)));
    Adversary::new(acts, &accomplices, 5, random)
}

fn always(behaviour: Behaviour, scope: Scope) -> Act {
    Act {
        behaviour,
        scope,
        during: Window::ALWAYS,
    }
}

fn to(nodes: &[u16]) -> Targets {
    Targets::Nodes(nodes.iter().copied().map(NodeId).collect())
}

fn at(millis: u64, leads: bool) -> Moment {
    Moment {
        now: Time::ZERO + Span::from_millis(millis),
        leads,
        height: 7,
    }
}

/// What becomes of a word to everybody and a timer.
fn spoken(adversary: &mut Adversary<Say>, moment: Moment, said: &'static str) -> Vec<String> {
    let (signers, _) = Signer::mint(5, Crypto::Modelled, 1);
    let mut effects: Vec<Effect<Say, ()>> = vec![
        Effect::Send {
            to: To::All(Committee::first(5)),
            message: Say(said, NodeId(0), 1),
        },
        Effect::SetTimer {
            timer: (),
            after: Span::from_millis(50),
        },
    ];
    adversary.bend(moment, &signers[0], &mut effects);
    let show = |effect: &Effect<Say, ()>| match effect {
        Effect::Send {
            to: To::All(to),
            message: Say(word, by, term),
        } => format!("{word} by {by} in {term} to {:?}", to.members()),
        Effect::SetTimer { after, .. } => format!("timer {after}"),
        other => format!("{other:?}"),
    };
    effects.iter().map(show).collect()
}

fn bent(behaviour: Behaviour, accomplices: &[u16], said: &'static str) -> Vec<String> {
    let acts = vec![always(behaviour, Scope::default())];
    spoken(&mut adversary(acts, accomplices), at(0, false), said)
}

/// The same but for the kinds it is about.
fn bent_for(behaviour: Behaviour, kind: &str, said: &'static str) -> Vec<String> {
    let kinds = vec![kind.to_owned()];
    let scope = Scope {
        kinds,
        ..Scope::default()
    };
    let acts = vec![always(behaviour, scope)];
    spoken(&mut adversary(acts, &[0]), at(0, false), said)
}

const TIMER: &str = "timer 50ms";
const EVERYONE: &str = "yes by n0 in 1 to [n0, n1, n2, n3, n4]";

#[test]
fn a_behaviour_bends_what_the_replica_says_and_nothing_else() {
    let untouched = [EVERYONE, TIMER];
    assert_eq!(bent(Behaviour::Silent, &[0], "yes"), [TIMER]);
    assert_eq!(bent_for(Behaviour::Withhold, "yes", "yes"), [TIMER]);
    assert_eq!(bent_for(Behaviour::Withhold, "no", "yes"), untouched);
    let restless = [EVERYONE, "timer 5ms"];
    assert_eq!(bent(Behaviour::Restless, &[0], "yes"), restless);
    for elsewhere in [
        Behaviour::ForgeEndorsement,
        Behaviour::Careless,
        Behaviour::Deaf,
        Behaviour::Amnesia,
        Behaviour::NoSync,
        Behaviour::FalseReply,
    ] {
        assert_eq!(bent(elsewhere, &[0], "yes"), untouched);
    }
}

#[test]
fn a_liar_tells_the_halves_of_the_honest_different_things() {
    let halves = [
        "yes by n0 in 1 to [n1, n3]",
        "no by n0 in 1 to [n2, n4]",
        TIMER,
    ];
    assert_eq!(bent(Behaviour::Equivocate, &[0], "yes"), halves);
    let with_friend = [
        "yes by n0 in 1 to [n1, n2, n4]",
        "no by n0 in 1 to [n3]",
        TIMER,
    ];
    assert_eq!(bent(Behaviour::Equivocate, &[0, 1], "yes"), with_friend);
    let no_lie = ["maybe by n0 in 1 to [n0, n1, n2, n3, n4]", TIMER];
    assert_eq!(bent(Behaviour::Equivocate, &[0], "maybe"), no_lie);
    let both = [EVERYONE, "no by n0 in 1 to [n0, n1, n2, n3, n4]", TIMER];
    assert_eq!(bent(Behaviour::DoubleTalk, &[0], "yes"), both);
}

#[test]
fn a_liar_may_speak_for_others_and_of_later_terms_and_too_much() {
    let garbled = ["forged by n0 in 1 to [n0, n1, n2, n3, n4]", TIMER];
    assert_eq!(bent(Behaviour::Garble, &[0], "yes"), garbled);
    let inflated = ["yes by n0 in 8 to [n0, n1, n2, n3, n4]", TIMER];
    assert_eq!(bent(Behaviour::Inflate { by: 7 }, &[0], "yes"), inflated);
    let flood = [EVERYONE, EVERYONE, EVERYONE, TIMER];
    assert_eq!(bent(Behaviour::Flood { copies: 3 }, &[0], "yes"), flood);
    let scope = Scope::default();
    let mut adversary = adversary(vec![always(Behaviour::Impersonate, scope)], &[0]);
    let mut victims = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let said = spoken(&mut adversary, at(0, false), "yes");
        assert_eq!(said[0], EVERYONE);
        victims.insert(said[1].clone());
    }
    let said = victims.into_iter().collect::<Vec<_>>().join("; ");
    for victim in 1..5 {
        assert!(said.contains(&format!("forged by n{victim}")), "{said}");
    }
    assert!(!said.contains("forged by n0"), "{said}");
}

#[test]
fn a_selective_node_speaks_to_half_of_them_anew_each_time() {
    let scope = Scope::default();
    let mut selective = adversary(vec![always(Behaviour::Selective, scope)], &[0]);
    let mut circles = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let said = spoken(&mut selective, at(0, false), "yes");
        assert_eq!(said.len(), 2);
        assert_eq!(
            said[0].matches(['1', '2', '3', '4']).count(),
            3,
            "{}",
            said[0]
        );
        circles.insert(said[0].clone());
    }
    assert_eq!(circles.len(), 6, "four choose two");
    let scope = Scope {
        targets: to(&[2]),
        ..Scope::default()
    };
    let mut selective = adversary(vec![always(Behaviour::Selective, scope)], &[0]);
    let only = ["yes by n0 in 1 to [n2]", TIMER];
    assert_eq!(spoken(&mut selective, at(0, false), "yes"), only);
}

#[test]
fn old_words_are_said_again_once_they_are_old() {
    let after = Span::from_millis(10);
    let kinds = vec!["maybe".to_owned()];
    let scope = Scope {
        kinds,
        ..Scope::default()
    };
    let mut replay = adversary(vec![always(Behaviour::Replay { after }, scope)], &[0]);
    replay.hear(Time::ZERO, &Say("maybe", NodeId(3), 1));
    replay.hear(Time::ZERO, &Say("never", NodeId(3), 1));
    assert_eq!(spoken(&mut replay, at(9, false), "yes"), [EVERYONE, TIMER]);
    let again = [EVERYONE, "maybe by n3 in 1 to [n0, n1, n2, n3, n4]", TIMER];
    assert_eq!(spoken(&mut replay, at(10, false), "yes"), again);
}

#[test]
fn targets_chance_and_the_lead_narrow_every_behaviour() {
    let scope = Scope {
        targets: to(&[1, 2]),
        ..Scope::default()
    };
    let mut partial = adversary(vec![always(Behaviour::Silent, scope.clone())], &[0]);
    let spared = ["yes by n0 in 1 to [n3, n4]", TIMER];
    assert_eq!(spoken(&mut partial, at(0, false), "yes"), spared);
    assert!(
        !partial.is_mute(at(0, false), "reply"),
        "clients are no targets"
    );
    let by = Span::from_millis(3);
    let mut late = adversary(vec![always(Behaviour::Late { by }, scope)], &[0]);
    let apart = [
        "yes by n0 in 1 to [n3, n4]",
        "yes by n0 in 1 to [n1, n2]",
        TIMER,
    ];
    assert_eq!(spoken(&mut late, at(0, false), "yes"), apart);
    let meant = |nodes: &[u16]| {
        let nodes = nodes.iter().copied().map(NodeId).collect();
        To::All(Committee::new(nodes))
    };
    assert_eq!(late.holds(at(0, false), "yes", &meant(&[1, 2])), by);
    assert_eq!(late.holds(at(0, false), "yes", &meant(&[3, 4])), Span::ZERO);

    let scope = Scope {
        leading: true,
        probability: "25%".parse().unwrap(),
        ..Scope::default()
    };
    let mut sometimes = adversary(vec![always(Behaviour::Silent, scope)], &[0]);
    let mut silent = |leads| {
        let silent = |_: &u32| spoken(&mut sometimes, at(0, leads), "yes").len() == 1;
        (0..1_000).filter(silent).count()
    };
    assert_eq!(silent(false), 0);
    assert!((200..300).contains(&silent(true)));

    let speaks = |heights: [u64; 2]| {
        let [from, until] = heights;
        let until = Some(until);
        let heights = Some(Heights { from, until });
        let scope = Scope {
            heights,
            ..Scope::default()
        };
        let mut silent = adversary(vec![always(Behaviour::Silent, scope)], &[0]);
        spoken(&mut silent, at(0, false), "yes").len() > 1
    };
    assert!(!speaks([7, 8]), "it is at height 7");
    assert!(speaks([8, 9]) && speaks([6, 7]));
}

#[test]
fn behaviours_compose_in_the_order_of_the_scenario() {
    let scope = |targets| Scope {
        targets,
        ..Scope::default()
    };
    let lie = always(Behaviour::Equivocate, scope(Targets::All));
    let twice = always(Behaviour::Flood { copies: 2 }, scope(to(&[4])));
    let mut composed = adversary(vec![lie, twice], &[0]);
    let said = [
        "no by n0 in 1 to [n1, n2, n3]",
        "no by n0 in 1 to [n4]",
        "no by n0 in 1 to [n4]",
        TIMER,
    ];
    assert_eq!(spoken(&mut composed, at(0, false), "yes"), said);
}
