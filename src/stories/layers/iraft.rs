//! The stories of a network whose consensus nodes agree by the improved RAFT.

use super::tell;
use crate::protocol::layers::Config;

fn iraft() -> Config {
    serde_yaml::from_str("{ edges: 1, index: 1, remote: 0, edge_protocol: iraft }").unwrap()
}

#[test]
fn a_leader_that_hears_no_hospital_is_given_up() {
    tell(iraft(), "leader-deaf");
}
