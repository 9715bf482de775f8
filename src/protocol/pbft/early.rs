//! Messages of a view this replica has not entered yet: they overtook the NEW-VIEW, and wait
//! for it. Bounded per sender, so that nobody can crowd out another.

use super::message::Message;

/// What waits, and how much of it came from whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Early {
    waiting: Vec<(usize, u64, Message)>,
    /// How many wait, by the position of the sender.
    held: Vec<u32>,
}

impl Early {
    /// Keeps a message of `view` by the member at `position`; false if it has too many waiting.
    pub fn keep(&mut self, position: usize, view: u64, message: &Message, quota: u32) -> bool {
        if self.held.len() <= position {
            self.held.resize(position + 1, 0);
        }
        if self.held[position] >= quota {
            return false;
        }
        self.held[position] += 1;
        self.waiting.push((position, view, message.clone()));
        true
    }

    /// From how many members something waits.
    pub fn senders(&self) -> usize {
        self.held.iter().filter(|held| **held > 0).count()
    }

    /// Forgets messages of views before this one: it will not enter them.
    pub fn forget_before(&mut self, view: u64) {
        let held = &mut self.held;
        self.waiting.retain(|(position, of, _)| {
            held[*position] -= u32::from(*of < view);
            *of >= view
        });
    }

    /// Takes out what waited for `view`, in the order it came, and forgets what is older.
    pub fn take(&mut self, view: u64) -> Vec<(usize, Message)> {
        let mut ready = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        self.held.clear();
        for (position, of, message) in waiting {
            if of == view {
                ready.push((position, message));
            } else if of > view {
                self.keep(position, of, &message, u32::MAX);
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view_of(message: &Message) -> u64 {
        match message {
            Message::Status { view, .. } => *view,
            _ => panic!("only these were kept"),
        }
    }

    #[test]
    fn each_sender_has_its_own_share_and_old_views_are_forgotten() {
        let keep = |early: &mut Early, position, view| {
            let message = Message::Status {
                height: 0,
                view,
                ask: false,
            };
            early.keep(position, view, &message, 2)
        };
        let mut early = Early::default();
        assert!(keep(&mut early, 0, 3));
        assert!(keep(&mut early, 0, 1));
        assert!(!keep(&mut early, 0, 2), "its share is used up");
        assert!(keep(&mut early, 5, 2));
        early.forget_before(2);
        assert!(keep(&mut early, 0, 3), "its share is free again");
        let ready = early.take(2);
        let views: Vec<u64> = ready.iter().map(|(_, message)| view_of(message)).collect();
        assert_eq!((views, ready[0].0), (vec![2], 5));
        assert_eq!(early.take(3).len(), 2);
        assert_eq!(early.take(9).len(), 0);
    }
}
