//! Results as pictures: from rows to SVG, PNG and a report, without running anything.
//!
//! A figure is a function from tables to a picture, or to nothing when the runs lack what it
//! needs. The same rows give the same bytes on every machine.

mod axis;
mod bounds;
mod by_kind;
mod canvas;
mod cdf;
mod chart;
mod curve;
mod heat;
mod kinds;
mod list;
mod measured;
mod networks;
mod overlay;
mod panels;
mod png;
mod report;
mod reproduction;
mod series;
pub mod study;
mod theme;
mod timeline;

#[cfg(test)]
mod samples;

use std::path::{Path, PathBuf};

use crate::experiment;
use crate::experiment::manifest::{self, Manifest};
use crate::experiment::store;
use crate::experiment::table::Tables;

pub use list::FIGURES;
pub use overlay::{Overlay, overlay};
pub use report::report;
pub use reproduction::{publish_reproduction, redraw_reproduction, reproduction};

/// A figure that can be asked for by name.
#[derive(Debug)]
pub struct Figure {
    /// As written in an experiment, and the name of its files.
    pub name: &'static str,
    /// One sentence for the list of figures.
    pub about: &'static str,
    /// Draws it; nothing if the runs lack what it shows.
    pub draw: fn(&Tables, &Context<'_>) -> Option<Picture>,
}

/// What surrounds the rows.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where the results come from.
    pub manifest: &'a Manifest,
}

/// A figure as drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// The picture as SVG; it scales to the width of its surroundings.
    pub svg: String,
    /// What it shows, in sentences.
    pub caption: String,
}

/// Why figures could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The results could not be read, or the pictures not written.
    #[error(transparent)]
    Results(#[from] experiment::Error),
    /// There is no figure of this name.
    #[error("there is no figure `{name}`{}", hint(*nearest))]
    Unknown {
        /// The name.
        name: String,
        /// The figure with the most similar name, if one is similar.
        nearest: Option<&'static str>,
    },
    /// A picture could not be turned into a raster image.
    #[error("cannot make an image of a figure: {reason}")]
    Image {
        /// Why.
        reason: String,
    },
}

impl Picture {
    fn new(svg: String, caption: &str) -> Self {
        Self {
            svg,
            caption: caption.trim().to_owned(),
        }
    }

    /// The raster image of the same picture, as PNG.
    ///
    /// # Errors
    /// If the picture is no SVG.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        png::render(&self.svg)
    }
}

/// The figure of this name.
///
/// # Errors
/// If there is none; names the nearest.
pub fn find(name: &str) -> Result<&'static Figure, Error> {
    let found = FIGURES.iter().find(|figure| figure.name == name);
    found.ok_or_else(|| {
        let distances = FIGURES
            .iter()
            .map(|figure| (distance(name, figure.name), figure.name));
        let nearest = distances
            .min()
            .filter(|(distance, _)| *distance <= name.len() / 3 + 1);
        Error::Unknown {
            name: name.chars().take(60).collect(),
            nearest: nearest.map(|(_, name)| name),
        }
    })
}

/// Draws the figures of these names, or all, in the order of [`FIGURES`]; those for which the
/// runs lack the data are left out.
///
/// # Errors
/// If a name is unknown.
pub fn draw(
    tables: &Tables,
    context: &Context<'_>,
    names: Option<&[String]>,
) -> Result<Vec<(&'static Figure, Picture)>, Error> {
    for name in names.unwrap_or_default() {
        find(name)?;
    }
    let wanted =
        |figure: &&Figure| names.is_none_or(|names| names.iter().any(|n| n == figure.name));
    let drawn = FIGURES.iter().filter(wanted).filter_map(|figure| {
        let picture = (figure.draw)(tables, context)?;
        Some((figure, picture))
    });
    Ok(drawn.collect())
}

/// The figures and the report of these results: names and bytes of the files.
///
/// # Errors
/// If a name is unknown.
pub fn files(
    tables: &Tables,
    manifest: &Manifest,
    names: Option<&[String]>,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let asked = Some(manifest.figures.as_slice()).filter(|names| !names.is_empty());
    let drawn = draw(tables, &Context { manifest }, names.or(asked))?;
    let mut files = Vec::new();
    for (figure, picture) in &drawn {
        files.push((format!("{}.png", figure.name), picture.png()?));
        files.push((
            format!("{}.svg", figure.name),
            picture.svg.clone().into_bytes(),
        ));
    }
    files.push((
        "report.html".to_owned(),
        report(tables, manifest, &drawn).into_bytes(),
    ));
    Ok(files)
}

/// Writes a whole folder of results: tables, figures, report, and last of all the manifest, which
/// says that the folder is complete. Returns what was written.
///
/// # Errors
/// If the manifest asks for an unknown figure, before anything is written; or if the files cannot
/// be written.
pub fn publish(dir: &Path, tables: &Tables, manifest: &Manifest) -> Result<Vec<PathBuf>, Error> {
    let drawn = files(tables, manifest, None)?;
    let says_complete = dir.join(manifest::FILE);
    store::remove(&says_complete)?;
    let mut written = tables.write_dir(dir)?;
    written.extend(store::put(dir, &drawn)?);
    manifest.write_dir(dir)?;
    written.push(says_complete);
    Ok(written)
}

/// Redraws the figures and the report of a folder from its tables and its manifest alone: those
/// of these names, or those its experiment asks for, or all. Returns what was written.
///
/// # Errors
/// If the results cannot be read, a name is unknown, or the files cannot be written.
pub fn redraw(dir: &Path, names: Option<&[String]>) -> Result<Vec<PathBuf>, Error> {
    let tables = Tables::read_dir(dir)?;
    let manifest = Manifest::read_dir(dir)?.unwrap_or_default();
    Ok(store::put(dir, &files(&tables, &manifest, names)?)?)
}

/// The end of a sentence about an unknown name.
fn hint(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}

/// How many letters must be inserted, removed or replaced to turn one word into another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests;
