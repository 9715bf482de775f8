//! What runs left behind, as rows and as CSV files.
//!
//! A [`RunRecord`] holds everything of one run; [`Tables`] holds all runs of a folder in order of
//! experiment, point and seed, writes them as tidy CSV files and reads equal rows back. The
//! columns of a file are listed once, next to the row they belong to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, cells, store};

use calls::{CALLS, REFUSALS};
use format::{ELECTIONS, Format, LATENCIES, MESSAGES, RUNS, SPEED, TIMELINE, VIOLATIONS};

mod calls;
mod format;
mod measures;

pub use super::cells::{Column, label};
pub use calls::{CallRow, RefusalRow};
pub use format::all_columns;
use measures::MEASURES;
pub use measures::MeasureRow;

/// One line of `runs.csv`: one run. Counts are of the measured window; a number that does not
/// apply is nothing, and an empty cell.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct Row {
    pub experiment: String,
    pub point: u64,
    pub protocol: String,
    pub nodes: u64,
    pub seed: u64,
    pub status: String,
    pub fingerprint: String,
    pub safety: String,
    pub liveness: String,
    pub submitted: u64,
    pub committed: u64,
    pub accepted: u64,
    pub refused: u64,
    pub throughput_tps: Option<f64>,
    pub goodput_tps: Option<f64>,
    pub latency_mean_ms: Option<f64>,
    pub latency_p50_ms: Option<f64>,
    pub latency_p90_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    pub latency_max_ms: Option<f64>,
    pub consensus_latency_mean_ms: Option<f64>,
    pub blocks: u64,
    pub messages: u64,
    pub bytes: u64,
    pub messages_per_block: Option<f64>,
    pub signatures: u64,
    pub verifications: u64,
    pub leader_changes: u64,
    pub violations: u64,
    pub byzantine: u64,
    pub convicted: u64,
    pub convicted_wrongly: u64,
    pub identified_after_ms: Option<f64>,
    pub simulated_s: Option<f64>,
    pub client_messages: u64,
    pub client_bytes: u64,
    pub events: u64,
    pub endorsements: u64,
    pub retries: u64,
    pub conflicts: u64,
    pub conflict_rate: Option<f64>,
    pub contacts: u64,
    pub contact_latency_mean_ms: Option<f64>,
    pub contact_latency_p50_ms: Option<f64>,
    pub contact_latency_p99_ms: Option<f64>,
    pub identified_by_all_ms: Option<f64>,
    pub misapplied: u64,
    /// The swept keys with their values as text, in the order of the experiment. Keys that are
    /// columns already (`protocol`, `nodes`, `seed`) are dropped when the row enters [`Tables`],
    /// unless they say more than the column does.
    pub swept: Vec<(String, String)>,
}

/// One simulated second of a run.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct TimelineRow {
    pub second: u64,
    pub committed: u64,
    pub latency_p50_ms: Option<f64>,
    pub latency_p99_ms: Option<f64>,
    pub messages: u64,
    pub leader: Option<u64>,
    pub view: Option<u64>,
}

/// The consensus messages of one kind in a whole run.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct MessageRow {
    pub kind: String,
    pub count: u64,
    pub bytes: u64,
}

/// One quantile of the latencies of a run; 101 of them, from 0 to 1, make a distribution.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct LatencyRow {
    pub quantile: f64,
    pub latency_ms: f64,
}

/// An interval without a leader that was able to decide.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct ElectionRow {
    pub start_ms: f64,
    pub downtime_ms: Option<f64>,
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct ViolationRow {
    pub time_ms: f64,
    pub property: String,
    pub nodes: String,
    pub height: Option<u64>,
    pub detail: String,
}

/// How fast the computer was: the one thing that differs between machines.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns: see `all_columns`")]
pub struct SpeedRow {
    pub wall_s: f64,
    pub events: u64,
    pub events_per_s: Option<f64>,
    pub peak_mib: Option<f64>,
}

/// Everything one run left behind. The row names the run; the other parts belong to it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunRecord {
    /// Its line in `runs.csv`.
    pub row: Row,
    /// Its lines in `timeline.csv`.
    pub timeline: Vec<TimelineRow>,
    /// Its lines in `messages.csv`.
    pub messages: Vec<MessageRow>,
    /// Its lines in `calls.csv`.
    pub calls: Vec<CallRow>,
    /// Its lines in `refusals.csv`.
    pub refusals: Vec<RefusalRow>,
    /// Its lines in `latencies.csv`.
    pub latencies: Vec<LatencyRow>,
    /// Its lines in `elections.csv`.
    pub elections: Vec<ElectionRow>,
    /// Its lines in `violations.csv`.
    pub violations: Vec<ViolationRow>,
    /// Its lines in `measures.csv`.
    pub measures: Vec<MeasureRow>,
    /// Its line in `speed.csv`.
    pub speed: Option<SpeedRow>,
}

/// All runs of a folder.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tables {
    records: Vec<RunRecord>,
}

impl Row {
    /// The value of a numeric column by its name; nothing if there is no such column, or it does
    /// not apply, or it holds text.
    pub fn number(&self, column: &str) -> Option<f64> {
        let index = RUNS.iter().position(|known| known.name == column)?;
        let text = [
            "experiment",
            "protocol",
            "status",
            "fingerprint",
            "safety",
            "liveness",
        ];
        if text.contains(&column) {
            return None;
        }
        self.cells()[index].parse().ok()
    }

    /// The value of a swept key as text.
    pub fn swept(&self, key: &str) -> Option<&str> {
        let found = self.swept.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Makes every text as it will be read back, and drops the swept keys that are columns.
    fn tidy(&mut self) {
        for text in [
            &mut self.experiment,
            &mut self.protocol,
            &mut self.status,
            &mut self.fingerprint,
            &mut self.safety,
            &mut self.liveness,
        ] {
            *text = label(text);
        }
        let swept = std::mem::take(&mut self.swept);
        for (key, value) in swept {
            let (mut key, value) = (label(&key), label(&value));
            if let Some(index) = RUNS.iter().position(|column| column.name == key) {
                if self.cells()[index] == value {
                    continue;
                }
                key.push_str(".value");
            }
            if self.swept(&key).is_none() {
                self.swept.push((key, value));
            }
        }
    }

    /// What orders runs, and names them in the other files.
    fn key(&self) -> (String, u64, u64) {
        (self.experiment.clone(), self.point, self.seed)
    }
}

impl RunRecord {
    /// A measure that only some protocols have, and that is taken at nothing.
    pub fn measure(&self, name: &str) -> Option<f64> {
        let mut measures = self.measures.iter();
        let found = measures.find(|row| row.measure == name && row.at.is_none());
        found.map(|row| row.value)
    }

    /// Makes everything as it will be read back.
    fn tidy(&mut self) {
        self.row.tidy();
        for message in &mut self.messages {
            message.kind = label(&message.kind);
        }
        for call in &mut self.calls {
            call.kind = label(&call.kind);
        }
        for refusal in &mut self.refusals {
            for text in [&mut refusal.kind, &mut refusal.code, &mut refusal.reason] {
                *text = label(text);
            }
        }
        for measure in &mut self.measures {
            measure.measure = label(&measure.measure);
        }
        for violation in &mut self.violations {
            let ViolationRow {
                property,
                nodes,
                detail,
                ..
            } = violation;
            for text in [property, nodes, detail] {
                *text = label(text);
            }
        }
    }
}

impl Tables {
    /// All runs, in order of experiment, point and seed, whatever the order they come in.
    ///
    /// # Errors
    /// If a run appears twice.
    pub fn new(mut records: Vec<RunRecord>) -> Result<Self, Error> {
        records.iter_mut().for_each(RunRecord::tidy);
        records.sort_by_cached_key(|record| record.row.key());
        let twice = records
            .windows(2)
            .find(|pair| pair[0].row.key() == pair[1].row.key());
        if let Some([RunRecord { row, .. }, _]) = twice {
            return Err(Error::Twice {
                experiment: row.experiment.clone(),
                point: row.point,
                seed: row.seed,
            });
        }
        Ok(Self { records })
    }

    /// The runs in order.
    pub fn records(&self) -> &[RunRecord] {
        &self.records
    }

    /// The runs in order, to be joined with others.
    pub fn into_records(self) -> Vec<RunRecord> {
        self.records
    }

    /// The swept keys that are columns of their own, in order of first appearance.
    pub fn swept_keys(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for (key, _) in self.records.iter().flat_map(|record| &record.row.swept) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        keys
    }

    /// The names and bytes of all files. Those of which there is nothing to say are left out:
    /// `refusals.csv` without a refusal, `violations.csv` without a violation, `measures.csv`
    /// without a measure, `speed.csv` without a clock.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![("runs.csv".to_owned(), self.print_runs())];
        files.push(self.print(&TIMELINE, |record| &record.timeline));
        files.push(self.print(&MESSAGES, |record| &record.messages));
        files.push(self.print(&CALLS, |record| &record.calls));
        if self
            .records
            .iter()
            .any(|record| !record.refusals.is_empty())
        {
            files.push(self.print(&REFUSALS, |record| &record.refusals));
        }
        files.push(self.print(&LATENCIES, |record| &record.latencies));
        files.push(self.print(&ELECTIONS, |record| &record.elections));
        if self
            .records
            .iter()
            .any(|record| !record.violations.is_empty())
        {
            files.push(self.print(&VIOLATIONS, |record| &record.violations));
        }
        if self
            .records
            .iter()
            .any(|record| !record.measures.is_empty())
        {
            files.push(self.print(&MEASURES, |record| &record.measures));
        }
        if self.records.iter().any(|record| record.speed.is_some()) {
            files.push(self.print(&SPEED, |record| record.speed.as_slice()));
        }
        files
    }

    /// Writes all files into a folder, and removes those of an earlier run that do not apply.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn write_dir(&self, dir: &Path) -> Result<Vec<PathBuf>, Error> {
        let files = self.files();
        let written = store::put(dir, &files)?;
        for name in [REFUSALS.file, VIOLATIONS.file, MEASURES.file, SPEED.file] {
            if files.iter().all(|(file, _)| file != name) {
                store::remove(&dir.join(name))?;
            }
        }
        Ok(written)
    }

    /// Reads what [`Tables::write_dir`] wrote. Only `runs.csv` must be there.
    ///
    /// # Errors
    /// If a file cannot be read, is malformed, or speaks of a run that is not in `runs.csv`.
    pub fn read_dir(dir: &Path) -> Result<Self, Error> {
        Self::read(dir, |name| store::get(&dir.join(name)))
    }

    /// All files in one, to keep the finished runs of an unfinished sweep. The first line of each
    /// is its name after a comma, with which no line of a table begins: no label is empty.
    pub fn to_archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, bytes) in self.files() {
            archive.extend(format!(",{name}\n").bytes());
            archive.extend(bytes);
        }
        archive
    }

    /// Reads what [`Tables::to_archive`] returned. The path is for errors only, whose lines count
    /// from the beginning of the file within the archive.
    ///
    /// # Errors
    /// As of [`Tables::read_dir`].
    pub fn from_archive(path: &Path, archive: &[u8]) -> Result<Self, Error> {
        Self::read(path, |name| Ok(section(archive, name)))
    }

    /// Reads all tables from wherever files are got by name.
    fn read(
        place: &Path,
        get: impl Fn(&str) -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<Self, Error> {
        let mut tables = Self::new(read_runs(&place.join("runs.csv"), get("runs.csv")?)?)?;
        let runs = tables.records.iter().enumerate();
        let runs: Runs = runs
            .map(|(index, record)| (record.row.key(), index))
            .collect();
        let all = &mut tables.records;
        let source = Source { place, get, runs };
        source.fill(&TIMELINE, |run, row| all[run].timeline.push(row))?;
        source.fill(&MESSAGES, |run, row| all[run].messages.push(row))?;
        source.fill(&CALLS, |run, row| all[run].calls.push(row))?;
        source.fill(&REFUSALS, |run, row| all[run].refusals.push(row))?;
        source.fill(&LATENCIES, |run, row| all[run].latencies.push(row))?;
        source.fill(&ELECTIONS, |run, row| all[run].elections.push(row))?;
        source.fill(&VIOLATIONS, |run, row| all[run].violations.push(row))?;
        source.fill(&MEASURES, |run, row| all[run].measures.push(row))?;
        source.fill(&SPEED, |run, row| all[run].speed = Some(row))?;
        Ok(tables)
    }

    fn print_runs(&self) -> Vec<u8> {
        let keys = self.swept_keys();
        let swept = keys.iter().map(|key| (*key).to_owned());
        let header = names(RUNS).chain(swept).collect();
        let lines = self.records.iter().map(|RunRecord { row, .. }| {
            let values = keys.iter().map(|key| row.swept(key).unwrap_or_default());
            row.cells()
                .into_iter()
                .chain(values.map(str::to_owned))
                .collect()
        });
        cells::print(std::iter::once(header).chain(lines))
    }

    fn print<T>(&self, file: &Format<T>, rows: impl Fn(&RunRecord) -> &[T]) -> (String, Vec<u8>) {
        let header = names(file.columns).collect();
        let lines = self.records.iter().flat_map(|record| {
            let key = file.key_cells(&record.row);
            rows(record)
                .iter()
                .map(move |row| [key.clone(), (file.cells)(row)].concat())
        });
        let bytes = cells::print(std::iter::once(header).chain(lines));
        (file.file.to_owned(), bytes)
    }
}

/// The first line of a file.
fn names(columns: &[Column]) -> impl Iterator<Item = String> {
    columns.iter().map(|column| column.name.to_owned())
}

/// Where each run stands in the tables.
type Runs = BTreeMap<(String, u64, u64), usize>;

/// Reads `runs.csv`, which must be there.
fn read_runs(path: &Path, bytes: Option<Vec<u8>>) -> Result<Vec<RunRecord>, Error> {
    let Some(bytes) = bytes else {
        let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such file");
        return Err(store::refused("read", path)(missing));
    };
    let (keys, rows) = cells::parse(path, &bytes, RUNS, |cells| {
        Ok((Row::read(cells)?, cells.rest()))
    })?;
    let records = rows.into_iter().map(|(mut row, values)| {
        let pairs = keys.iter().cloned().zip(values);
        row.swept = pairs.filter(|(_, value)| !value.is_empty()).collect();
        RunRecord {
            row,
            ..RunRecord::default()
        }
    });
    Ok(records.collect())
}

/// Where the files other than `runs.csv` are read from, and the runs they speak of.
struct Source<'a, G> {
    place: &'a Path,
    get: G,
    runs: Runs,
}

impl<G: Fn(&str) -> Result<Option<Vec<u8>>, Error>> Source<'_, G> {
    /// Reads one of the files, if it is there, and hands each row over with its run.
    fn fill<T>(&self, file: &Format<T>, mut take: impl FnMut(usize, T)) -> Result<(), Error> {
        let Some(bytes) = (self.get)(file.file)? else {
            return Ok(());
        };
        let path = self.place.join(file.file);
        cells::parse(&path, &bytes, file.columns, |cells| {
            let key = file.read_key(cells)?;
            let row = (file.read)(cells)?;
            let run = self.runs.get(&key).ok_or_else(|| {
                let (experiment, point, seed) = &key;
                let named = format!("{experiment}, point {point}, seed {seed}");
                cells.wrong(format!("the run of {named} is not in runs.csv"))
            })?;
            take(*run, row);
            Ok(())
        })?;
        Ok(())
    }
}

/// One file of an archive.
fn section(archive: &[u8], name: &str) -> Option<Vec<u8>> {
    let title = format!(",{name}\n");
    let mut lines = archive.split_inclusive(|byte| *byte == b'\n');
    lines.find(|line| *line == title.as_bytes())?;
    let content = lines.take_while(|line| !line.starts_with(b","));
    Some(content.flatten().copied().collect())
}

#[cfg(test)]
mod tests;
