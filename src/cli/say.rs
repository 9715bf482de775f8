//! Printing that survives a closed pipe: who reads may stop reading, and that is no failure.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when standard output could not take what it was given, for another reason than that its
/// reader went away.
static FAILED: AtomicBool = AtomicBool::new(false);

/// A line of results, to standard output.
pub fn say(line: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        FAILED.store(true, Ordering::Relaxed);
    }
}

/// A line about the work, to standard error; lost if nobody listens.
pub fn note(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A word as one types it into a shell.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=._-%/:,".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Whether results were lost on their way to standard output.
pub fn results_were_lost() -> bool {
    let flushed = std::io::stdout().lock().flush();
    let lost = flushed.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe);
    lost || FAILED.load(Ordering::Relaxed)
}
