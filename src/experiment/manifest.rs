//! What a folder of results says of its origin: enough to repeat every run of it, and nothing
//! that depends on the machine.

use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{Error, store};

/// The file `manifest.yaml`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What to type to get the same results.
    pub command: String,
    /// The version of this crate.
    pub version: String,
    /// The commit it was built from, or `unknown`.
    pub commit: String,
    /// The name of the experiment, or of the scenario that was run.
    pub experiment: String,
    /// What it is about, in its author's words.
    pub about: String,
    /// The figures it asks for; if none, all that make sense of the data are drawn.
    pub figures: Vec<String>,
    /// Runs in all, those of other shards included.
    pub runs: u64,
    /// The scenario of each point, in order.
    pub scenarios: Vec<Resolved>,
}

/// One scenario as it was run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// As in the column of that name.
    pub experiment: String,
    /// As in the column of that name.
    pub point: u64,
    /// The SHA-256 of the scenario's text.
    pub sha256: String,
    /// When which fault is at work, for the figures over time.
    pub faults: Vec<FaultWindow>,
    /// The scenario with every default filled in, as YAML.
    #[serde(serialize_with = "as_block")]
    pub scenario: String,
}

/// A time during which a fault or an adversary is at work.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultWindow {
    /// The name of the fault, like `partition`.
    pub fault: String,
    /// From when, in seconds.
    pub from_s: f64,
    /// Until when, in seconds; nothing if it lasts to the end.
    pub until_s: Option<f64>,
}

/// The name of the file.
pub const FILE: &str = "manifest.yaml";

impl Manifest {
    /// The file's text.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("plain structs of texts and numbers can be written")
    }

    /// Reads the manifest of a folder; nothing if there is none.
    ///
    /// # Errors
    /// If there is one that cannot be read or understood.
    pub fn read_dir(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FILE);
        let Some(bytes) = store::get(&path)? else {
            return Ok(None);
        };
        let wrong = |reason: String| Error::Manifest {
            path: path.clone(),
            reason,
        };
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let manifest = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(manifest))
    }

    /// Writes the manifest of a folder, last of all its files: a folder with a manifest is
    /// complete.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn write_dir(&self, dir: &Path) -> Result<(), Error> {
        store::put_one(&dir.join(FILE), self.to_yaml().as_bytes())
    }
}

impl Resolved {
    /// A scenario with its hash.
    pub fn new(experiment: &str, point: u64, scenario: String, faults: Vec<FaultWindow>) -> Self {
        Self {
            experiment: experiment.to_owned(),
            point,
            sha256: sha256(scenario.as_bytes()),
            faults,
            scenario,
        }
    }
}

/// The SHA-256 of some bytes as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text of several lines as a block that people can read.
fn as_block<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if text.ends_with('\n') && text.lines().count() > 1 {
        serde_yaml::LitStr(text).serialize(serializer)
    } else {
        serializer.serialize_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::store::scratch::Scratch;

    fn manifest() -> Manifest {
        let partition = FaultWindow {
            fault: "partition".into(),
            from_s: 20.0,
            until_s: Some(40.5),
        };
        let text = "about: Seven hospitals\nseed: 7\nnetwork:\n  sites: [north, south]\n# no\n";
        Manifest {
            command: "consilium sweep scenarios/experiments/scale.yaml".into(),
            version: "0.1.0".into(),
            commit: "0123456".into(),
            experiment: "scale".into(),
            about: "How it scales: \"yes\", 'no', # and {so} on.\n".into(),
            figures: vec!["throughput-by-nodes".into()],
            runs: 1,
            scenarios: vec![
                Resolved::new("scale", 0, text.into(), vec![partition]),
                Resolved::new("scale", 1, "one: line".into(), vec![]),
                Resolved::new(
                    "scale",
                    2,
                    "  indented: 1\nnext: '\u{e9}'\n\n".into(),
                    vec![],
                ),
            ],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_written() {
        let folder = Scratch::new("manifest");
        assert_eq!(Manifest::read_dir(&folder.0).unwrap(), None);
        manifest().write_dir(&folder.0).unwrap();
        assert_eq!(Manifest::read_dir(&folder.0).unwrap(), Some(manifest()));
        assert_eq!(manifest().to_yaml(), manifest().to_yaml());
    }

    #[test]
    fn scenarios_stand_as_blocks_that_people_can_read() {
        let yaml = manifest().to_yaml();
        assert!(
            yaml.contains("scenario: |\n    about: Seven hospitals\n"),
            "{yaml}"
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_path() {
        let folder = Scratch::new("manifest-broken");
        store::put_one(&folder.0.join(FILE), b"command: [unclosed").unwrap();
        let error = Manifest::read_dir(&folder.0).unwrap_err().to_string();
        assert!(error.contains("manifest.yaml"), "{error}");
        store::put_one(&folder.0.join(FILE), b"\xff\xfe").unwrap();
        assert!(Manifest::read_dir(&folder.0).is_err());
    }

    #[test]
    fn the_hash_is_that_of_the_usual_tool() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), known);
    }
}
