//! A scenario and an experiment to start from.

use std::path::Path;

use super::Failure;
use super::say::{say, shell_word};
use crate::experiment::store;

/// What is written, by its name.
const FILES: [(&str, &str); 2] = [
    ("scenario.yaml", include_str!("scenario.yaml")),
    ("experiment.yaml", include_str!("experiment.yaml")),
];

/// Writes them into a folder, which is made if it is missing, and says what to do with them.
/// Nothing is overwritten: if one of them is there, none is written.
pub fn begin(dir: &Path) -> Result<(), Failure> {
    let paths = FILES.map(|(name, _)| dir.join(name));
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        return Err(Failure::Io {
            action: "write",
            path: there.clone(),
            source: std::io::Error::new(std::io::ErrorKind::AlreadyExists, "there is one"),
        });
    }
    let files = FILES.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    store::put(dir, &files)?;
    let [scenario, experiment] = paths;
    let commands = [
        ("run", scenario, "one run, and what came of it"),
        ("sweep", experiment, "many runs, figures and a report"),
    ];
    for (command, path, what) in commands {
        let path = shell_word(&path.display().to_string());
        let line = format!("consilium {command} {path} --out results/{command}");
        say(format_args!("{line:<50} # {what}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Names;
    use crate::cli::run::judge_all;
    use crate::experiment::plan::Plan;

    /// What is written can be run and swept as it is, and what the scenario expects comes true.
    #[test]
    fn what_one_starts_from_is_as_it_says_and_is_never_overwritten() {
        let dir = std::env::temp_dir().join(format!("consilium-begin-{}", std::process::id()));
        begin(&dir).unwrap();
        let names = Names::all();
        let known = names.known();
        let judged = judge_all(std::slice::from_ref(&dir), 1, false).unwrap();
        let [(_, _, unmet)] = &judged[..] else {
            panic!("one scenario: {judged:?}");
        };
        assert_eq!(*unmet, Vec::<String>::new());
        let plan = Plan::load(&dir.join("experiment.yaml"), &known).unwrap();
        assert!(plan.points().len() > 1);

        std::fs::remove_file(dir.join("scenario.yaml")).unwrap();
        std::fs::write(dir.join("experiment.yaml"), "mine").unwrap();
        let refused = begin(&dir).unwrap_err();
        assert_eq!(refused.exit_code(), 5);
        assert!(!dir.join("scenario.yaml").exists(), "nothing is written");
        let kept = std::fs::read_to_string(dir.join("experiment.yaml")).unwrap();
        assert_eq!(kept, "mine");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
