//! dump
use super::samples::*;
use super::*;

#[test]
fn dump() {
    let two: &[&str] = &["raft", "pbft"];
    let six: &[&str] = &["raft", "iraft", "pbft", "krbft", "mbft", "hotstuff"];
    let nodes: &[&str] = &["4", "7", "10", "16", "31", "61", "100"];
    for (name, t) in [
        ("two", tables(two, ("nodes", nodes), 5)),
        ("six", tables(six, ("nodes", nodes), 20)),
        (
            "rate",
            tables(
                two,
                (
                    "workload.rate",
                    &[
                        "100/s", "500/s", "1000/s", "1500/s", "2000/s", "2500/s", "3000/s",
                    ],
                ),
                5,
            ),
        ),
        (
            "clients",
            tables(
                two,
                ("workload.clients", &["10", "20", "50", "100", "200", "500"]),
                5,
            ),
        ),
        (
            "delay",
            tables(
                two,
                (
                    "network.within.latency",
                    &["1ms", "5ms", "10ms", "20ms", "50ms", "100ms"],
                ),
                5,
            ),
        ),
        (
            "batch",
            tables(
                two,
                ("batch.max", &["1", "10", "50", "100", "200", "500"]),
                5,
            ),
        ),
        ("one", tables(&["pbft"], ("nodes", &["7"]), 1)),
    ] {
        let dir = std::env::temp_dir().join("figdump").join(name);
        t.write_dir(&dir).unwrap();
        manifest(t.records().last().unwrap().row.point + 1)
            .write_dir(&dir)
            .unwrap();
        redraw(&dir, None).unwrap();
    }
}
