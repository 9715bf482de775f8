//! Whatever bytes come as a call of the contract, they are refused or decoded; and what is decoded
//! is encoded as the same bytes.
#![no_main]

use consilium::contract::wire::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(call) = decode(bytes) {
        assert_eq!(encode(&call), bytes);
    }
});
