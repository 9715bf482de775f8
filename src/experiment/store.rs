//! Files that appear whole or not at all.
//!
//! Every file is written beside its final name, flushed to the disk and renamed, so that an
//! interrupted sweep leaves nothing that looks finished and is not. Whoever writes into a folder
//! holds it, so that two processes do not mix their results.

#[cfg(unix)]
use std::fs::TryLockError;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Error;

/// What the name of a file that is being written has before the number of the process.
const STAGED: &str = ".tmp-";

/// A folder that no other process holds as long as this one does. What ends the process ends that.
#[derive(Debug)]
pub struct Held {
    _folder: Option<File>,
}

/// Makes a folder if it is missing, and holds it.
///
/// # Errors
/// If another process holds it, or the operating system refuses.
#[cfg(unix)]
pub fn hold(dir: &Path) -> Result<Held, Error> {
    fs::create_dir_all(dir).map_err(refused("create", dir))?;
    let folder = File::open(dir).map_err(refused("open", dir))?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Held(dir.to_owned())),
        Ok(()) => {
            discard_abandoned(dir);
            Ok(Held {
                _folder: Some(folder),
            })
        }
        // A file system without locks must do without.
        Err(TryLockError::Error(_)) => Ok(Held {
            _folder: Some(folder),
        }),
    }
}

/// Removes what a process that was killed has staged: nobody else writes here now. What cannot be
/// removed bears no final name, and harms nobody.
#[cfg(unix)]
fn discard_abandoned(dir: &Path) {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in names {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.contains(STAGED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Folders cannot be opened elsewhere: there nobody is kept from writing.
#[cfg(not(unix))]
pub fn hold(dir: &Path) -> Result<Held, Error> {
    fs::create_dir_all(dir).map_err(refused("create", dir))?;
    Ok(Held { _folder: None })
}

/// Writes files into a folder, which is made if it is missing. All are written in full before
/// the first gets its name; a failure before that leaves the folder as it was.
///
/// # Errors
/// If the operating system refuses.
pub fn put(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(refused("create", dir))?;
    let mut staged = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let beside = dir.join(format!(".{name}{STAGED}{}", std::process::id()));
        let written = stage(&beside, bytes).map_err(refused("write", &dir.join(name)));
        staged.push((beside, dir.join(name)));
        if let Err(error) = written {
            discard(&staged);
            return Err(error);
        }
    }
    for (index, (beside, path)) in staged.iter().enumerate() {
        if let Err(source) = fs::rename(beside, path) {
            discard(&staged[index..]);
            return Err(refused("write", path)(source));
        }
    }
    sync(dir)?;
    Ok(staged.into_iter().map(|(_, path)| path).collect())
}

/// Writes one file, and the folder it is in if that is missing.
///
/// # Errors
/// If the operating system refuses, or the path has no file name that is text.
pub fn put_one(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
        refused("write", path)(source)
    })?;
    let dir = path.parent().filter(|dir| *dir != Path::new(""));
    let files = [(name.to_owned(), bytes.to_vec())];
    put(dir.unwrap_or(Path::new(".")), &files).map(|_| ())
}

/// Removes a file that an earlier run may have left.
///
/// # Errors
/// If there is one and the operating system refuses.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(refused("remove", path)(source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The content of a file, or nothing if there is none.
///
/// # Errors
/// If there is one and it cannot be read.
pub fn get(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused("read", path)(source)),
    }
}

/// Writes a file in full, down to the disk.
fn stage(beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(beside)?;
    file.write_all(bytes)?;
    file.flush()?;
    file.sync_all()
}

/// Removes what was staged. The error that led here is the one to report: a file that cannot be
/// removed bears no final name, and harms nobody.
fn discard(staged: &[(PathBuf, PathBuf)]) {
    for (beside, _) in staged {
        let _ = fs::remove_file(beside);
    }
}

/// Makes the new names of a folder survive a loss of power.
#[cfg(unix)]
fn sync(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(refused("write", dir))
}

/// Folders cannot be opened for this elsewhere; their file systems keep a journal of names.
#[cfg(not(unix))]
fn sync(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// Turns the answer of the operating system into our error.
pub(super) fn refused(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

/// A folder for one test, empty at its start and removed at its end.
#[cfg(test)]
pub(crate) mod scratch {
    use super::*;

    /// See the module.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let name = format!("consilium-{name}-{}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        /// The names in the folder, in order.
        pub(crate) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scratch::Scratch;
    use super::*;

    fn file(name: &str, text: &str) -> (String, Vec<u8>) {
        (name.to_owned(), text.as_bytes().to_vec())
    }

    #[test]
    fn files_replace_older_ones_and_leave_nothing_beside() {
        let folder = Scratch::new("store-replace");
        let dir = folder.0.join("new").join("deep");
        put(&dir, &[file("a.csv", "old"), file("b.csv", "b")]).unwrap();
        let paths = put(&dir, &[file("a.csv", "new")]).unwrap();
        assert_eq!(paths, [dir.join("a.csv")]);
        assert_eq!(get(&dir.join("a.csv")).unwrap(), Some(b"new".to_vec()));
        assert_eq!(get(&dir.join("c.csv")).unwrap(), None);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        remove(&dir.join("a.csv")).unwrap();
        remove(&dir.join("a.csv")).unwrap();
        assert_eq!(get(&dir.join("a.csv")).unwrap(), None);
    }

    /// The second file cannot be staged: its name leads through a folder that does not exist.
    #[test]
    fn a_failure_leaves_the_folder_as_it_was() {
        let folder = Scratch::new("store-failure");
        put(&folder.0, &[file("a.csv", "old")]).unwrap();
        let error = put(&folder.0, &[file("a.csv", "new"), file("no/b.csv", "b")]).unwrap_err();
        assert!(error.to_string().contains("b.csv"), "{error}");
        assert_eq!(get(&folder.0.join("a.csv")).unwrap(), Some(b"old".to_vec()));
        assert_eq!(folder.names(), ["a.csv"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_has_one_writer_at_a_time() {
        let folder = Scratch::new("store-hold");
        let dir = folder.0.join("new");
        let held = hold(&dir).unwrap();
        let error = hold(&dir).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(held);
        put_one(&dir.join(".runs.csv.tmp-4711"), b"half").unwrap();
        put_one(&dir.join(".own"), b"whole").unwrap();
        hold(&dir).unwrap();
        let names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, [".own"], "what a killed process has staged is gone");
    }

    #[test]
    fn one_file_needs_a_name() {
        assert!(put_one(Path::new("/"), b"x").is_err());
        let folder = Scratch::new("store-one");
        put_one(&folder.0.join("x.json"), b"{}").unwrap();
        assert_eq!(folder.names(), ["x.json"]);
    }
}
