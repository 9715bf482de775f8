//! Whatever a scenario file contains, it is refused or read; and what is read is written as what
//! reads as the same.
#![no_main]

use consilium::catalog::Names;
use consilium::scenario::Scenario;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let names = Names::all();
    let known = names.known();
    if let Ok(scenario) = Scenario::parse("any.yaml", text, &[], None, &known) {
        let again = Scenario::parse("again.yaml", &scenario.to_yaml(), &[], None, &known);
        let again = again.unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(again.hash(), scenario.hash());
    }
});
