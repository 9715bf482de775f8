//! A chart: series over two axes with bands, theory, shades and a legend beside it.

use super::axis::Axis;
use super::canvas::{Align, Canvas, Place, Type, paint};
use super::theme::{GRID, INK, Rgb, SHADE, SOFT_INK, Style};

/// Everything a chart shows.
pub(super) struct Chart {
    pub(super) title: String,
    /// What the experiment is about.
    pub(super) subtitle: String,
    /// What the lines and bands are, under the subtitle.
    pub(super) note: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) theory: Vec<Theory>,
    pub(super) shades: Vec<Shade>,
    /// What the marks at the foot stand for, if there are any.
    pub(super) marks: Option<String>,
}

/// One line of measurements.
pub(super) struct Series {
    /// Its name in the legend; empty if another series stands for it there.
    pub(super) label: String,
    pub(super) style: Style,
    pub(super) points: Vec<Point>,
    /// Whether a line joins the points.
    pub(super) joined: bool,
    /// Every how many points there is a marker.
    pub(super) every: usize,
    /// Where something happened, shown as a mark at the foot of the chart.
    pub(super) marks: Vec<f64>,
}

impl Series {
    /// The size of its markers: those of no line of their own show around others on them.
    fn radius(&self) -> f64 {
        if self.joined { 10.0 } else { 15.0 }
    }
}

/// A median with its band.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What a formula says, as a dashed line.
pub(super) struct Theory {
    /// Its name in the legend; empty if a series stands for it there.
    pub(super) label: String,
    pub(super) colour: Rgb,
    pub(super) points: Vec<(f64, f64)>,
}

/// A time set apart, with its name.
pub(super) struct Shade {
    pub(super) label: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

const SIZE: (u32, u32) = (1600, 1000);
const TITLE: Type = Type::new(40, INK);
const SUBTITLE: Type = Type::new(25, SOFT_INK);
const NAME: Type = Type::new(29, INK);
const NUMBER: Type = Type::new(26, INK);
const LEGEND: Type = Type::new(26, INK);
const SHADE_NAME: Type = Type::new(24, SOFT_INK);
const DASH: (f64, f64) = (14.0, 9.0);
/// The edge of the picture.
const EDGE: f64 = 40.0;

/// The rectangle that holds the data.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Chart {
    /// The chart as SVG.
    pub(super) fn paint(mut self) -> String {
        let frame = self.frame_in(SIZE, self.legend_width(), (&self.subtitle, &self.note));
        self.thin(frame);
        paint(SIZE, &self.title, |canvas| {
            header(canvas, &self.title, &self.subtitle, &self.note);
            self.paint_data(canvas, frame);
            self.legend(canvas, frame, SIZE);
        })
    }

    /// Everything inside the axes, and these.
    pub(super) fn paint_data(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        self.shades(canvas, frame);
        self.grid(canvas, frame);
        self.bands(canvas, frame);
        self.lines(canvas, frame);
        self.marks(canvas, frame);
        self.axes(canvas, frame);
    }

    /// Takes away the names on the axes that would run into one another.
    pub(super) fn thin(&mut self, frame: Frame) {
        let (wide, high) = (frame.right - frame.left, frame.bottom - frame.top);
        self.x.thin(|name| (NUMBER.width(name) + 18.0) / wide);
        self.y.thin(|_| f64::from(NUMBER.size) * 1.3 / high);
    }

    /// Where the data go: what title, names and legend leave.
    pub(super) fn frame_in(
        &self,
        size: (u32, u32),
        legend: f64,
        (subtitle, note): (&str, &str),
    ) -> Frame {
        Frame {
            left: EDGE + 62.0 + self.widest(),
            right: f64::from(size.0) - EDGE - legend - 34.0,
            top: header_height(subtitle, note),
            bottom: f64::from(size.1) - 118.0,
        }
    }

    /// The width of the widest name on the vertical axis.
    fn widest(&self) -> f64 {
        let names = self.y.ticks.iter().filter_map(|tick| tick.name.as_ref());
        names.map(|name| NUMBER.width(name)).fold(0.0, f64::max)
    }

    pub(super) fn legend_width(&self) -> f64 {
        let widths = self.legend_labels().map(|label| LEGEND.width(label) + 76.0);
        widths.fold(120.0, f64::max).min(720.0)
    }

    fn legend_labels(&self) -> impl Iterator<Item = &str> {
        let series = self.series.iter().map(|series| series.label.as_str());
        let theory = self.theory.iter().map(|theory| theory.label.as_str());
        let named = series.chain(theory).filter(|label| !label.is_empty());
        named.chain(self.marks.as_deref())
    }

    fn place(&self, frame: Frame, x: f64, y: f64) -> Place {
        (
            frame.left + self.x.place(x) * (frame.right - frame.left),
            frame.bottom - self.y.place(y) * (frame.bottom - frame.top),
        )
    }

    fn shades(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        let mut rows: Vec<f64> = Vec::new(); // Where each row of names ends.
        for shade in &self.shades {
            let (left, _) = self.place(frame, shade.from, 0.0);
            let (right, _) = self.place(frame, shade.to, 0.0);
            canvas.rectangle(
                (left, frame.top),
                (right.max(left + 2.0), frame.bottom),
                SHADE,
                1.0,
            );
            let width = SHADE_NAME.width(&shade.label);
            let start = (left + 8.0).min(frame.right - width - 8.0);
            let row = rows
                .iter()
                .position(|end| *end <= start)
                .unwrap_or(rows.len());
            rows.resize(rows.len().max(row + 1), 0.0);
            rows[row] = start + width + 16.0;
            if row < 4 {
                let y = frame.top + 22.0 + 30.0 * row as f64;
                canvas.text(&shade.label, (start, y), SHADE_NAME);
            }
        }
    }

    fn grid(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        for tick in &self.x.ticks {
            let (x, _) = self.place(frame, tick.at, self.y.from);
            canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1, 1.0);
        }
        for tick in &self.y.ticks {
            let (_, y) = self.place(frame, self.x.from, tick.at);
            canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 1, 1.0);
        }
    }

    fn bands(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        for series in &self.series {
            let upper = series.points.iter().map(|p| self.place(frame, p.x, p.high));
            let lower = series
                .points
                .iter()
                .rev()
                .map(|p| self.place(frame, p.x, p.low));
            let outline: Vec<Place> = upper.chain(lower).collect();
            if outline.len() > 2 && series.points.iter().any(|p| p.low < p.high) {
                canvas.polygon(&outline, series.style.colour, 0.2);
            }
        }
    }

    fn lines(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        for series in self.series.iter().filter(|series| series.joined) {
            let places = series.points.iter().map(|p| self.place(frame, p.x, p.y));
            let places: Vec<Place> = places.collect();
            canvas.line(
                &places,
                series.style.colour,
                if series.every == 1 { 5 } else { 4 },
                1.0,
            );
        }
        for theory in &self.theory {
            let inside = theory.points.iter().filter(|(x, y)| {
                let within = |v: f64, a: &Axis| v >= a.from * 0.999 && v <= a.to * 1.001;
                within(*x, &self.x) && within(*y, &self.y)
            });
            let places: Vec<Place> = inside.map(|(x, y)| self.place(frame, *x, *y)).collect();
            canvas.dashed(&places, theory.colour, 3, DASH);
        }
        for (index, series) in self.series.iter().enumerate() {
            // Sparse markers of different lines stand at different points.
            let every = series.every.max(1);
            let first = every * (2 * index + 1) / (2 * self.series.len());
            for point in series.points.iter().skip(first).step_by(every) {
                let place = self.place(frame, point.x, point.y);
                canvas.marker(place, series.style, series.radius());
            }
        }
    }

    fn marks(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        for (row, series) in self.series.iter().enumerate() {
            for at in &series.marks {
                let (x, _) = self.place(frame, *at, self.y.from);
                let y = frame.bottom - 14.0 - 16.0 * row as f64;
                triangle(canvas, (x, y), series.style.colour);
            }
        }
    }

    fn axes(&self, canvas: &mut Canvas<'_>, frame: Frame) {
        let corner = (frame.left, frame.bottom);
        canvas.line(
            &[(frame.left, frame.top), corner, (frame.right, frame.bottom)],
            INK,
            2,
            1.0,
        );
        for tick in &self.x.ticks {
            let (x, y) = self.place(frame, tick.at, self.y.from);
            canvas.line(&[(x, y), (x, y + 8.0)], INK, 2, 1.0);
            if let Some(name) = &tick.name {
                canvas.text(name, (x, y + 28.0), NUMBER.align(Align::Centre));
            }
        }
        for tick in &self.y.ticks {
            let (x, y) = self.place(frame, self.x.from, tick.at);
            canvas.line(&[(x - 8.0, y), (x, y)], INK, 2, 1.0);
            if let Some(name) = &tick.name {
                canvas.text(name, (x - 16.0, y), NUMBER.align(Align::Right));
            }
        }
        let name = NAME.align(Align::Centre);
        let middle = ((frame.left + frame.right) / 2.0, frame.bottom + 82.0);
        canvas.text(&self.x.label, middle, name);
        let left = frame.left - 58.0 - self.widest();
        let side = (left, (frame.top + frame.bottom) / 2.0);
        canvas.text(&self.y.label, side, name.upright());
    }

    pub(super) fn legend(&self, canvas: &mut Canvas<'_>, frame: Frame, size: (u32, u32)) {
        let left = frame.right + 34.0;
        let room = f64::from(size.0) - EDGE - left - 68.0;
        let count = self.legend_labels().count().max(1) as f64;
        let step = ((frame.bottom - frame.top) / count).min(46.0);
        let mut y = frame.top + 20.0;
        let mut entry = |canvas: &mut Canvas<'_>, label: &str| {
            canvas.text(&LEGEND.fit(label, room), (left + 68.0, y), LEGEND);
            let sample = [(left, y), (left + 54.0, y)];
            y += step;
            sample
        };
        for series in self.series.iter().filter(|series| !series.label.is_empty()) {
            let sample = entry(canvas, &series.label);
            if series.joined {
                canvas.line(&sample, series.style.colour, 5, 1.0);
            } else {
                canvas.dashed(&sample, series.style.colour, 3, DASH);
            }
            canvas.marker((left + 27.0, sample[0].1), series.style, series.radius());
        }
        let mut named: Vec<&str> = Vec::new();
        for theory in &self.theory {
            if !theory.label.is_empty() && !named.contains(&theory.label.as_str()) {
                named.push(&theory.label);
                let several = self
                    .theory
                    .iter()
                    .filter(|other| other.label == theory.label);
                let colour = if several.count() > 1 {
                    SOFT_INK
                } else {
                    theory.colour
                };
                let sample = entry(canvas, &theory.label);
                canvas.dashed(&sample, colour, 3, DASH);
            }
        }
        if let Some(label) = &self.marks {
            let sample = entry(canvas, label);
            triangle(canvas, (left + 27.0, sample[0].1), SOFT_INK);
        }
    }
}

/// Title, subtitle and note, as all figures have them.
pub(super) fn header(canvas: &mut Canvas<'_>, title: &str, subtitle: &str, note: &str) {
    canvas.text(title, (EDGE, 46.0), TITLE);
    for (index, line) in header_lines(subtitle, note).iter().enumerate() {
        canvas.text(line, (EDGE, 98.0 + 34.0 * index as f64), SUBTITLE);
    }
}

/// How much of the picture the header takes.
pub(super) fn header_height(subtitle: &str, note: &str) -> f64 {
    118.0 + 34.0 * header_lines(subtitle, note).len() as f64
}

fn header_lines(subtitle: &str, note: &str) -> Vec<String> {
    let width = f64::from(SIZE.0) - 2.0 * EDGE;
    let mut lines = SUBTITLE.wrap(subtitle, width, 2);
    lines.extend(SUBTITLE.wrap(note, width, 2));
    lines
}

fn triangle(canvas: &mut Canvas<'_>, (x, y): Place, colour: Rgb) {
    canvas.polygon(
        &[(x - 7.0, y + 6.0), (x + 7.0, y + 6.0), (x, y - 8.0)],
        colour,
        1.0,
    );
}
