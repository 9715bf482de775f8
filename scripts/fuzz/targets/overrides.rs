//! Whatever follows `--set`, it is refused or taken.
#![no_main]

use consilium::catalog::Names;
use consilium::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

const PLAIN: &str = "about: Plain.\nseed: 1\nnodes: 4\nprotocol: raft\nduration: 1s\n";

fuzz_target!(|pairs: Vec<(String, String)>| {
    let names = Names::all();
    let read = Scenario::parse("plain.yaml", PLAIN, &pairs, Some(1), &names.known());
    if let Err(refusal) = read {
        assert!(!refusal.to_string().is_empty());
    }
});
