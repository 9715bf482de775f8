//! What a leader wants to know of a follower beyond how far its log agrees.

/// What a leader knows of one follower.
pub(super) type Peer = crate::protocol::peer::Peer<Follower>;

/// What a follower has been shown, and how far it has voted and decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    /// Whether it has seen why we lead.
    pub knows: bool,
    /// How far it had voted and decided when it last fell behind in either.
    pub behind: Option<(u64, u64)>,
}

impl Follower {
    /// Whether it is no further than when it was last found behind: then something was lost.
    pub fn stays_behind(&mut self, locked: u64, decided: u64) -> bool {
        let before = self.behind.replace((locked, decided));
        before == Some((locked, decided))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_behind_has_missed_something() {
        let mut follower = Follower::default();
        assert!(!follower.stays_behind(3, 2));
        assert!(!follower.stays_behind(4, 2), "it moves");
        assert!(follower.stays_behind(4, 2));
    }
}
