//! The figures of published targets: one for each quantity, from the rows of `reproduce.csv`.

use std::path::{Path, PathBuf};

use super::overlay::{Overlay, overlay};
use super::{Error, Picture};
use crate::experiment::manifest::{self, Manifest};
use crate::experiment::reproduce::rows::{self, Row};
use crate::experiment::reproduce::{Panel, Target};
use crate::experiment::store;

/// The figures of a target with their names; those of which there is no row are left out.
pub fn reproduction(target: &Target, rows: &[Row]) -> Vec<(&'static str, Picture)> {
    let pictures = target.panels.iter().filter_map(|panel| {
        let series = overlays(target, panel, rows);
        let picture = overlay(panel.title, panel.about, panel.axes, &series)?;
        Some((panel.name, picture))
    });
    pictures.collect()
}

/// The curves of one quantity.
fn overlays(target: &Target, panel: &Panel, rows: &[Row]) -> Vec<Overlay> {
    let series = target.series.iter();
    let series = series.filter(|series| series.quantity == panel.quantity);
    let overlays = series.map(|series| {
        let mine = |row: &&Row| {
            row.target == target.name
                && row.series == series.name
                && row.quantity == panel.quantity.name()
        };
        let of = |value: fn(&Row) -> Option<f64>| {
            let rows = rows.iter().filter(mine);
            rows.filter_map(|row| Some((row.x, value(row)?))).collect()
        };
        Overlay {
            series: series.name.to_owned(),
            protocol: series.protocol.to_owned(),
            published: of(|row| Some(row.published)),
            ours: of(|row| row.ours),
        }
    });
    overlays.collect()
}

/// Writes a whole folder: the table, the figures, and last of all the manifest, which says that
/// the folder is complete. Returns what was written.
///
/// # Errors
/// If the files cannot be written.
pub fn publish_reproduction(
    dir: &Path,
    targets: &[&Target],
    rows: &[Row],
    manifest: &Manifest,
) -> Result<Vec<PathBuf>, Error> {
    let drawn = files(targets, rows, None)?;
    let says_complete = dir.join(manifest::FILE);
    store::remove(&says_complete)?;
    let mut written = store::put(dir, &[(rows::FILE.to_owned(), rows::print(rows))])?;
    written.extend(store::put(dir, &drawn)?);
    manifest.write_dir(dir)?;
    written.push(says_complete);
    Ok(written)
}

/// Redraws the figures of a folder from its table alone, those of these names or all. Returns what
/// was written; nothing if the folder has no such table.
///
/// # Errors
/// If the table cannot be read, a name is unknown, or the files cannot be written.
pub fn redraw_reproduction(
    dir: &Path,
    targets: &[Target],
    names: Option<&[String]>,
) -> Result<Option<Vec<PathBuf>>, Error> {
    let Some(rows) = rows::read_dir(dir)? else {
        return Ok(None);
    };
    let panels: Vec<&Panel> = targets.iter().flat_map(|target| target.panels).collect();
    for name in names.unwrap_or_default() {
        if panels.iter().all(|panel| panel.name != name) {
            return Err(Error::Unknown {
                name: name.chars().take(60).collect(),
                nearest: None,
            });
        }
    }
    let targets: Vec<&Target> = targets.iter().collect();
    Ok(Some(store::put(dir, &files(&targets, &rows, names)?)?))
}

/// Names and bytes of the figures of these names, or of all.
fn files(
    targets: &[&Target],
    rows: &[Row],
    names: Option<&[String]>,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let wanted = |figure: &str| names.is_none_or(|names| names.iter().any(|name| name == figure));
    let mut files = Vec::new();
    for target in targets {
        let drawn = reproduction(target, rows).into_iter();
        for (name, picture) in drawn.filter(|(name, _)| wanted(name)) {
            files.push((format!("{name}.png"), picture.png()?));
            files.push((format!("{name}.svg"), picture.svg.into_bytes()));
        }
    }
    Ok(files)
}
