//! Supervision: hidden members of several groups are handed the blocks of each, and compare what
//! the leaders say. Whoever finds a leader alone against as many leaders as one honest one is among
//! shows it to all, is known from then on, and makes room for another one.
//!
//! That is reason enough to choose another leader, and proves nothing: the leaders that agree may
//! lie together. The proof is another word of the same leader about the same place, and whoever was
//! told one shows it when it hears of the finding.

use std::collections::BTreeMap;

use super::config::Mutant;
use super::evidence::{Exposure, contradicts};
use super::grouping::{Supervisor, supervisors};
use super::message::{Delivery, GroupBlock, Message};
use super::{Cx, Krbft};
use crate::base::crypto::Signed;
use crate::base::node::{Committee, NodeId};
use crate::chain::Height;
use crate::protocol::{Offence, Report};

/// Leaders that say one thing, and one that says another.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The one.
    pub false_word: Signed<Delivery>,
    /// The others.
    pub true_words: Vec<Signed<Delivery>>,
}

/// What leaders have said of the latest heights, one word for each group.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    words: BTreeMap<Height, BTreeMap<u64, Signed<Delivery>>>,
}

/// Heights of which a replica remembers what it was told.
const WATCHED_MAX: usize = 256;

impl Krbft {
    /// The supervisors of the present, by what is known of those before them.
    fn supervisors(&self) -> Vec<Supervisor> {
        if !self.config.supervision {
            return Vec::new();
        }
        let epoch = self.durable.epoch;
        supervisors(self.seats.groups(), epoch, &self.durable.exposed)
    }

    /// Whom the leader of this replica's group hands its blocks to: the members, and whoever
    /// watches the group from another one.
    pub(super) fn find_audience(&self) -> Committee {
        let watching = self.supervisors().into_iter();
        let watching = watching.filter(|supervisor| supervisor.watches.contains(&self.mine));
        let outside = watching
            .map(|supervisor| supervisor.node)
            .filter(|node| !self.members().contains(*node));
        let members = self.members().members().iter().copied();
        Committee::new(members.chain(outside).collect())
    }

    /// Whether this replica watches a group.
    fn watches(&self, group: usize) -> bool {
        let mut all = self.supervisors().into_iter();
        all.any(|watcher| watcher.node == self.setup.me && watcher.watches.contains(&group))
    }

    /// A leader has said something of a height: whoever hears it remembers it, and a supervisor
    /// compares.
    pub(super) fn compare(&mut self, from: NodeId, told: &GroupBlock, cx: &mut Cx<'_>) {
        let body = *told.statement.body();
        let Ok(group) = usize::try_from(body.group) else {
            return;
        };
        let leads = self.durable.council.holder(group) == Some(from)
            || (group == self.mine && self.is_leader(from));
        if !self.config.supervision || !leads {
            return;
        }
        let known = self.remember(body.height, &told.statement);
        self.hold_against(known, &told.statement, cx);
        if self.watches(group) {
            self.look_for_liars(body.height, cx);
        }
    }

    /// Keeps what a leader says of a height, and returns what this replica has heard before.
    fn remember(&mut self, height: Height, word: &Signed<Delivery>) -> Option<Signed<Delivery>> {
        let words = &mut self.volatile.watch.words;
        let here = words.entry(height).or_default();
        let known = here.insert(word.body().group, word.clone());
        if words.len() > WATCHED_MAX {
            words.pop_first();
        }
        known
    }

    /// A supervisor compares what the leaders say of a height.
    fn look_for_liars(&mut self, height: Height, cx: &mut Cx<'_>) {
        let words = self.volatile.watch.words.get(&height);
        let enough = self.seats.committee().one_honest();
        let Some(finding) = words.and_then(|words| find(words, enough)) else {
            return;
        };
        if self.durable.disowned.contains(&finding.false_word.by()) {
            return;
        }
        cx.report(Report::Reached("a supervisor finds a liar"));
        let all = self.setup.committee.clone();
        let told = self.bound(Message::Finding(Box::new(finding.clone())));
        cx.broadcast(&all, told);
        let me = cx.me();
        self.on_finding(me, &finding, cx);
    }

    /// A supervisor shows what it has found, and is known from now on; or somebody shows again what
    /// one has found. The words stand for themselves, whoever shows them.
    pub(super) fn on_finding(&mut self, from: NodeId, finding: &Finding, cx: &mut Cx<'_>) {
        let culprit = finding.false_word.by();
        let watcher = self
            .supervisors()
            .iter()
            .any(|watcher| watcher.node == from);
        if !self.is_founded(finding, cx) {
            return;
        }
        // A proof stands by itself: it is shown before anything is written. Those who agree may be
        // the ones that lie.
        for word in finding.true_words.iter().chain([&finding.false_word]) {
            let body = word.body();
            let words = self.volatile.watch.words.get(&body.height);
            let known = words.and_then(|words| words.get(&body.group)).cloned();
            self.hold_against(known, word, cx);
        }
        if watcher && !self.durable.exposed.contains(&from) {
            cx.report(Report::Reached("a supervisor is exposed and replaced"));
            self.durable.exposed.push(from);
            self.audience = self.find_audience();
            cx.persist();
        }
        let known = self.durable.found.entry(culprit);
        known.or_insert_with(|| finding.clone());
        let believed = self.config.broken(Mutant::OutvotedIsGuilty);
        let offence = [Offence::Outvoted, Offence::InvalidProposal][usize::from(believed)];
        self.disown(culprit, offence, cx);
    }

    /// If this replica knows another word of the same leader about the same place, all shall.
    fn hold_against(
        &mut self,
        known: Option<Signed<Delivery>>,
        word: &Signed<Delivery>,
        cx: &mut Cx<'_>,
    ) {
        let Some(known) = known.filter(|known| contradicts(known, word)) else {
            return;
        };
        self.expose(&Exposure::Words([known, word.clone()]), cx);
    }

    /// Whether so many leaders of other groups say another thing that an honest one is among them,
    /// unless more of them lie than the committee bears. Where it bears more liars than that,
    /// certificates tell what is true, and no number of words without them does.
    fn is_founded(&self, finding: &Finding, cx: &Cx<'_>) -> bool {
        if self.demands_proof() {
            return false;
        }
        let accused = finding.false_word.body();
        let mut groups = vec![accused.group];
        let of = |word: &Signed<Delivery>| {
            let group = usize::try_from(word.body().group).ok();
            let group = group.and_then(|group| self.seats.groups().get(group));
            group.is_some_and(|group| group.contains(word.by())) && word.verify(cx.keyring())
        };
        let first = finding.true_words.first().map(|word| word.body().digest);
        let against = finding.true_words.iter().all(|word| {
            let body = word.body();
            let fresh = !groups.contains(&body.group);
            groups.push(body.group);
            fresh && body.height == accused.height && Some(body.digest) == first && of(word)
        });
        against
            && of(&finding.false_word)
            && first.is_some_and(|digest| digest != accused.digest)
            && finding.true_words.len() >= self.seats.committee().one_honest()
    }
}

/// Somebody that is alone against so many.
fn find(words: &BTreeMap<u64, Signed<Delivery>>, enough: usize) -> Option<Finding> {
    let agree = |word: &Signed<Delivery>| {
        let same = |other: &&Signed<Delivery>| other.body().digest == word.body().digest;
        words.values().filter(same).cloned().collect::<Vec<_>>()
    };
    let true_words = words
        .values()
        .map(agree)
        .find(|same| same.len() >= enough)?;
    let digest = true_words.first()?.body().digest;
    let mut others = words.values().filter(|word| word.body().digest != digest);
    let false_word = others.next()?.clone();
    Some(Finding {
        false_word,
        true_words,
    })
}
