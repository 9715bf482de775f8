//! What to run: a scenario, the values to vary, how many seeds, and the figures to draw. A plan
//! is expanded to points, and every point is judged before anything runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::scenario::error::{PROBLEMS_MAX, Problem, Refusal};
use crate::scenario::read;
use crate::scenario::reader::{Fields, Reader};
use crate::scenario::tree::{Node, Place, Step, Value, parse_path, shorten};
use crate::scenario::{Known, Scenario};

/// An experiment whose every point is a valid scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the file without its extension.
    pub name: String,
    /// One or two sentences for people.
    pub about: String,
    /// The scenario that is varied.
    pub scenario: PathBuf,
    /// The swept keys, in the order of the columns they make.
    pub axes: Vec<String>,
    /// Runs of each point, with consecutive seeds.
    pub seeds: u32,
    /// The figures to draw.
    pub figures: Vec<String>,
    points: Vec<Point>,
}

/// One choice of values.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its place in the expansion, from 0.
    pub index: usize,
    /// The swept keys with their values on one line, without commas or quotes.
    pub labels: Vec<(String, String)>,
    /// The scenario with these values, and the seed of its first run.
    pub scenario: Scenario,
}

/// The first-level keys.
pub const KEYS: &[&str] = &["about", "scenario", "sweep", "zip", "seeds", "figures"];
/// Points times seeds at most.
const RUNS_MAX: u64 = 1_000_000;
/// Refused points after which no more are judged: they mostly repeat one another.
const REFUSED_MAX: usize = 100;

/// A swept key.
struct Key {
    name: String,
    path: Vec<Step>,
    place: Place,
}

/// Keys that vary together: one for each entry of `sweep`, all those of `zip`.
struct Axis {
    keys: Vec<Key>,
    /// For each value of the axis, the value of each key.
    values: Vec<Vec<Node>>,
}

impl Plan {
    /// Reads an experiment and the scenario it names, and judges every point.
    ///
    /// # Errors
    /// Everything that is wrong with either file or with any point, each problem once, with the
    /// values of the first point that has it.
    pub fn load(path: &Path, known: &Known<'_>) -> Result<Self, Refusal> {
        let text = read::read_file(path)?;
        Self::parse(path, &text, known)
    }

    /// Reads an experiment from text; `path` stands for the file, and the scenario is found
    /// relative to it.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn parse(path: &Path, text: &str, known: &Known<'_>) -> Result<Self, Refusal> {
        let root = read::parse(&path.display().to_string(), text)?;
        let mut reader = Reader::new(&root);
        let draft = draft(&mut reader, &root, path, known);
        if let Some(refusal) = reader.finish() {
            return Err(refusal);
        }
        let Some((mut plan, axes)) = draft else {
            let rule = "cannot be read for a reason that was not found";
            return Err(Problem::at(&root.place, rule).into());
        };
        let name = plan.scenario.display().to_string();
        let text = read::read_file(&plan.scenario).map_err(|refusal| {
            let rule = format!("{name} {}", refusal.problems[0].rule);
            let steps = [Step::Key("scenario".into())];
            Problem::in_tree(&root, &steps, false, rule)
        })?;
        let base = read::parse(&name, &text)?;
        plan.points = expand(&base, &axes, known)?;
        let greatest = plan.points.iter().map(|point| point.scenario.seed).max();
        if greatest.is_some_and(|seed| seed.checked_add(u64::from(plan.seeds) - 1).is_none()) {
            let rule = "the last seed would be greater than 2^64 - 1: lower the scenario's `seed`";
            let steps = [Step::Key("seeds".into())];
            return Err(Problem::in_tree(&root, &steps, false, rule).into());
        }
        Ok(plan)
    }

    /// All points; the last swept key varies fastest.
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}

impl Point {
    /// The scenario of one of the runs, counted from 0: seeds are consecutive.
    pub fn run(&self, number: u32) -> Scenario {
        self.scenario
            .with_seed(self.scenario.seed.wrapping_add(u64::from(number)))
    }
}

/// Reads everything but the scenario.
fn draft<'t>(
    reader: &mut Reader<'t>,
    root: &'t Node,
    path: &Path,
    known: &Known<'_>,
) -> Option<(Plan, Vec<Axis>)> {
    if let Value::Null = root.value {
        reader.refuse("the file says nothing");
        return None;
    }
    let fields = reader.fields(root, KEYS)?;
    let about = reader.require(fields, "about", "what this experiment shows", Reader::text);
    let scenario = reader.require(fields, "scenario", "../calm/wide-area.yaml", Reader::text);
    let mut axes = reader.or(fields, "sweep", Vec::new(), sweep);
    if let Some(axis) = reader.field(fields, "zip", zip) {
        let swept = |key: &&Key| axes.iter().any(|axis: &Axis| axis.keys[0].path == key.path);
        if let Some(key) = axis.keys.iter().find(swept) {
            let steps = [Step::Key("zip".into()), Step::Key(key.name.as_str().into())];
            reader.refuse_at(&steps, "is in `sweep` already: keep one of them", None);
        }
        axes.push(axis);
    }
    let seeds = reader.or(fields, "seeds", 1, |r, n| r.count(n, 1, RUNS_MAX));
    too_many(reader, fields, &axes, seeds);
    let figures = reader.or(fields, "figures", Vec::new(), |reader, node| {
        reader.list(node, "a list of figures", |reader, node| {
            let choices: Vec<(&str, &str)> = known.figures.iter().map(|f| (*f, *f)).collect();
            reader.choice(node, &choices).map(String::from)
        })
    });
    let folder = path.parent().unwrap_or(Path::new(""));
    let plan = Plan {
        name: path
            .file_stem()
            .map_or_else(|| "experiment".into(), |stem| stem.display().to_string()),
        about: about?.to_string(),
        scenario: folder.join(&*scenario?),
        axes: keys(&axes).map(|key| key.name.clone()).collect(),
        seeds: u32::try_from(seeds).ok()?,
        figures,
        points: Vec::new(),
    };
    Some((plan, axes))
}

fn keys(axes: &[Axis]) -> impl Iterator<Item = &Key> {
    axes.iter().flat_map(|axis| &axis.keys)
}

/// Refuses a product that is too large, with its factors.
fn too_many(reader: &mut Reader<'_>, fields: Fields<'_>, axes: &[Axis], seeds: u64) {
    let lengths = axes.iter().map(|axis| axis.values.len() as u64);
    let runs = lengths.clone().try_fold(seeds, u64::checked_mul);
    if runs.is_some_and(|runs| runs <= RUNS_MAX) {
        return;
    }
    let factors: Vec<String> = lengths.chain([seeds]).map(|n| n.to_string()).collect();
    let key = if fields.has("sweep") {
        "sweep"
    } else {
        "seeds"
    };
    reader.refuse_limit(
        key,
        format!("makes {} runs: at most {RUNS_MAX}", factors.join(" × ")),
        "sweep fewer values, or use `zip` to pair them",
    );
}

/// Reads `sweep`: each key is an axis of its own.
fn sweep<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Vec<Axis>> {
    let columns = columns(reader, node)?;
    let axis = |(key, values): (Key, Vec<Node>)| Axis {
        keys: vec![key],
        values: values.into_iter().map(|value| vec![value]).collect(),
    };
    Some(columns.into_iter().map(axis).collect())
}

/// Reads `zip`: lists of one length, whose values belong together.
fn zip<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Axis> {
    let columns = columns(reader, node)?;
    let length = columns.first()?.1.len();
    for (key, values) in &columns {
        if values.len() != length {
            let steps = [Step::Key(key.name.as_str().into())];
            let (count, first) = (values.len(), &columns[0].0.name);
            let rule = format!("has {count} values, but `{first}` has {length}");
            let help = "lists under `zip` are paired, so they have one length";
            reader.refuse_at(&steps, rule, Some(help.into()));
            return None;
        }
    }
    let row = |number| {
        let value = |(_, values): &(Key, Vec<Node>)| Node::clone(&values[number]);
        columns.iter().map(value).collect()
    };
    Some(Axis {
        values: (0..length).map(row).collect(),
        keys: columns.into_iter().map(|(key, _)| key).collect(),
    })
}

/// Keys with their lists of values.
fn columns<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Vec<(Key, Vec<Node>)>> {
    let Value::Map(entries) = &node.value else {
        reader.expected(node, "a map from keys to lists, like `{ nodes: [4, 7] }`");
        return None;
    };
    let mut columns: Vec<(Key, Vec<Node>)> = Vec::new();
    for entry in entries {
        reader.inside(Step::Key(entry.key.clone()), |reader| {
            let Some(path) = parse_path(&entry.key) else {
                let help = "join names by dots, like `network.within.latency`";
                return reader.refuse_key("is not the key of a scenario", Some(help.into()));
            };
            if let [Step::Key(name)] = &path[..]
                && ["seed", "about", "expect"].contains(&&**name)
            {
                let help = (&**name == "seed").then(|| "write `seeds: 20`".into());
                return reader.refuse_key(format!("`{name}` cannot be swept"), help);
            }
            if let Some(values) = values(reader, &entry.node) {
                let key = Key {
                    name: entry.key.to_string(),
                    path,
                    place: entry.place.clone(),
                };
                columns.push((key, values));
            }
        });
    }
    if entries.is_empty() {
        reader.refuse("is empty: name a key and its values, or remove it");
    }
    Some(columns)
}

/// The values of a key, at least one.
fn values<'t>(reader: &mut Reader<'t>, node: &'t Node) -> Option<Vec<Node>> {
    let Value::List(values) = &node.value else {
        reader.expected(node, "a list of values, like `[4, 7, 13]`");
        return None;
    };
    if values.is_empty() {
        reader.refuse("has no values: the sweep would run nothing");
        return None;
    }
    Some(values.clone())
}

/// The points of a product, all of them valid.
fn expand(base: &Node, axes: &[Axis], known: &Known<'_>) -> Result<Vec<Point>, Refusal> {
    alike(axes)?;
    let mut judge = Judge {
        base,
        axes,
        known,
        problems: Vec::new(),
        seen: BTreeSet::new(),
        more: 0,
        refused: 0,
    };
    // First each value beside the first values of the other axes: that finds most mistakes
    // without a walk through the whole product.
    let first = vec![0; axes.len()];
    judge.point(0, &first);
    for (axis, values) in axes.iter().enumerate() {
        for value in 1..values.values.len() {
            if judge.refused < REFUSED_MAX {
                let mut choice = first.clone();
                choice[axis] = value;
                judge.point(index(axes, &choice), &choice);
            }
        }
    }
    judge.verdict()?;
    let mut points = Vec::new();
    let mut choice = first;
    loop {
        points.extend(judge.point(points.len(), &choice));
        if judge.refused >= REFUSED_MAX || !next(axes, &mut choice) {
            break;
        }
    }
    judge.verdict()?;
    Ok(points)
}

/// Refuses a value that an axis has twice: its points could not be told apart.
fn alike(axes: &[Axis]) -> Result<(), Refusal> {
    for axis in axes {
        let mut seen = BTreeSet::new();
        for row in &axis.values {
            let labels: Vec<String> = row.iter().map(Node::label).collect();
            if !seen.insert(labels) {
                let rule = format!("{} is here twice", row[0].describe());
                let mut problem = Problem::at(&row[0].place, rule);
                problem.key_path = axis.keys[0].name.clone();
                return Err(problem.help("list every value once").into());
            }
        }
    }
    Ok(())
}

/// The place of a choice in the product.
fn index(axes: &[Axis], choice: &[usize]) -> usize {
    let fold = |index, (axis, value): (&Axis, &usize)| index * axis.values.len() + value;
    axes.iter().zip(choice).fold(0, fold)
}

/// The next choice of the product, the last axis fastest; false after the last.
fn next(axes: &[Axis], choice: &mut [usize]) -> bool {
    for (axis, value) in axes.iter().zip(choice.iter_mut()).rev() {
        *value += 1;
        if *value < axis.values.len() {
            return true;
        }
        *value = 0;
    }
    false
}

/// Judges points and keeps each problem once.
struct Judge<'j> {
    base: &'j Node,
    axes: &'j [Axis],
    known: &'j Known<'j>,
    problems: Vec<Problem>,
    seen: BTreeSet<(String, usize, usize, String, String)>,
    more: usize,
    /// Points that were refused.
    refused: usize,
}

impl Judge<'_> {
    /// The point of a choice, if it is a valid scenario.
    fn point(&mut self, index: usize, choice: &[usize]) -> Option<Point> {
        let mut root = self.base.clone();
        let mut labels = Vec::new();
        let mut misplaced = Vec::new();
        for (axis, value) in self.axes.iter().zip(choice) {
            for (key, value) in axis.keys.iter().zip(&axis.values[*value]) {
                labels.push((key.name.clone(), value.label()));
                if let Err(rule) = root.set(&key.path, &key.place, value.clone()) {
                    let mut problem = Problem::at(&key.place, rule);
                    problem.key_path.clone_from(&key.name);
                    misplaced.push(problem);
                }
            }
        }
        let judged = match Refusal::of(misplaced) {
            Some(refusal) => Err(refusal),
            None => Scenario::from_tree(&root, self.known),
        };
        match judged {
            Ok(scenario) => Some(Point {
                index,
                labels,
                scenario,
            }),
            Err(refusal) => {
                self.note(refusal, index, &labels);
                None
            }
        }
    }

    fn note(&mut self, refusal: Refusal, index: usize, labels: &[(String, String)]) {
        self.refused += 1;
        let values: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key} = {}", shorten(value)))
            .collect();
        for mut problem in refusal.problems {
            let place = (problem.line, problem.column);
            let (path, rule) = (problem.key_path.clone(), problem.rule.clone());
            if !self
                .seen
                .insert((problem.file.clone(), place.0, place.1, path, rule))
            {
                continue;
            }
            if self.problems.len() >= PROBLEMS_MAX {
                self.more += 1;
                continue;
            }
            if !values.is_empty() {
                problem.context = Some(format!("point {index}: {}", values.join(", ")));
            }
            self.problems.push(problem);
        }
        self.more += refusal.more;
    }

    fn verdict(&mut self) -> Result<(), Refusal> {
        match Refusal::of(std::mem::take(&mut self.problems)) {
            Some(mut refusal) => {
                refusal.more += self.more;
                Err(refusal)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
