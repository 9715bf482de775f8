//! The process: arguments in, exit code out.
use consilium::base::time::Span;
use consilium::bench::{plan, rate, votes::Votes};
use consilium::protocol::pbft::Pbft;
use consilium::sim::{Kernel, machine::Machine};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[2].parse().unwrap();
    let us: u64 = args[3].parse().unwrap();
    let kernel = match args[4].as_str() {
        "heap" => Kernel::Heap,
        t => Kernel::Windows {
            threads: t.parse().unwrap(),
        },
    };
    let (r, e) = match args[1].as_str() {
        "votes" => rate::<Votes>(plan(n, Span::from_micros(us), Machine::FREE), kernel),
        _ => rate::<Pbft>(plan(n, Span::from_micros(us), Machine::default()), kernel),
    };
    println!(
        "{} n={n} {:?}: {:.2} M/s, {} events, hash {:x} {:?}",
        args[1],
        kernel,
        r / 1e6,
        e.totals.events,
        e.hash,
        e.totals.by_kind
    );
}
