//! Lines, shapes and words on a canvas of integer coordinates, as SVG.
//!
//! No font is measured: the same bytes come out on every machine. Canvases are large, so that
//! integer coordinates are finer than what eyes and printers resolve.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle, TextStyle,
};

use super::theme::{Marker, PAPER, Rgb, Style};

/// A place on the canvas, from its upper left corner.
pub(super) type Place = (f64, f64);

/// What words look like.
#[derive(Clone, Copy)]
pub(super) struct Type {
    /// The height of the letters, in canvas units.
    pub(super) size: u32,
    pub(super) colour: Rgb,
    pub(super) align: Align,
    /// Whether the words run upwards.
    pub(super) upright: bool,
}

/// Where words stand relative to their place; vertically always centred.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// What is drawn on.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Drawing goes into memory.
const SURE: &str = "drawing into a string does not fail";
/// The font that the raster images embed; browsers fall back on their own.
const FAMILY: &str = "DejaVu Sans, sans-serif";

/// Draws a picture of this size. The result scales to the width of its surroundings.
pub(super) fn paint(
    (width, height): (u32, u32),
    title: &str,
    draw: impl FnOnce(&mut Canvas<'_>),
) -> String {
    let mut svg = String::new();
    let mut canvas = Canvas {
        backend: SVGBackend::with_string(&mut svg, (width, height)),
    };
    let (right, bottom) = (f64::from(width), f64::from(height));
    canvas.rectangle((0.0, 0.0), (right, bottom), PAPER, 1.0);
    draw(&mut canvas);
    canvas.backend.present().expect(SURE);
    drop(canvas);
    let fixed = format!("<svg width=\"{width}\" height=\"{height}\" ");
    let head_end = svg.find('\n').expect("the first line opens the picture") + 1;
    let head = svg[..head_end].replace(&fixed, "<svg width=\"100%\" role=\"img\" ");
    format!(
        "{head}<title>{}</title>\n{}",
        escape(title),
        &svg[head_end..]
    )
}

impl Type {
    /// Words of this size, to the right of their place.
    pub(super) const fn new(size: u32, colour: Rgb) -> Self {
        Self {
            size,
            colour,
            align: Align::Left,
            upright: false,
        }
    }

    /// The same, aligned otherwise.
    pub(super) const fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    /// The same, running upwards.
    pub(super) const fn upright(self) -> Self {
        Self {
            upright: true,
            ..self
        }
    }

    /// About how wide a text is, on the safe side.
    pub(super) fn width(self, text: &str) -> f64 {
        let share = |c: char| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | 'I' => 0.33,
            'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '-' | '/' => 0.41,
            'm' | 'w' | 'M' | 'W' | '%' | '@' | '=' | '+' | '<' | '>' | '\u{2212}' => 0.9,
            c if c.is_ascii_uppercase() => 0.72,
            _ => 0.63,
        };
        text.chars().map(share).sum::<f64>() * f64::from(self.size)
    }

    /// The text, cut so that it is no wider than this.
    pub(super) fn fit(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut cut = String::new();
        for c in text.chars() {
            if self.width(&cut) + 2.0 * f64::from(self.size) > width {
                break;
            }
            cut.push(c);
        }
        format!("{}…", cut.trim_end())
    }

    /// The text in at most `lines` lines no wider than this. A word that is wider than a line may
    /// end a line at its hyphens.
    pub(super) fn wrap(self, text: &str, width: f64, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let wide = self.width(word) > width;
            let (parts, end) = if wide { (usize::MAX, "-") } else { (1, "") };
            for (number, part) in word.splitn(parts, '-').enumerate() {
                let joint = if number == 0 { " " } else { "-" };
                match wrapped.last_mut() {
                    Some(line) if self.width(&format!("{line}{joint}{part}{end}")) <= width => {
                        line.push_str(joint);
                        line.push_str(part);
                    }
                    Some(line) => {
                        line.push_str(joint.trim());
                        wrapped.push(part.to_owned());
                    }
                    None => wrapped.push(part.to_owned()),
                }
            }
        }
        if wrapped.len() > lines {
            let rest = wrapped.split_off(lines.saturating_sub(1)).join(" ");
            wrapped.push(rest);
        }
        wrapped.iter().map(|line| self.fit(line, width)).collect()
    }
}

impl Canvas<'_> {
    /// A straight or broken line.
    pub(super) fn line(&mut self, places: &[Place], colour: Rgb, width: u32, opacity: f64) {
        if places.len() < 2 {
            return;
        }
        let style = stroke(colour, width, opacity);
        let path: Vec<(i32, i32)> = places.iter().copied().map(grid).collect();
        if let [from, to] = path[..] {
            self.backend.draw_line(from, to, &style).expect(SURE);
        } else {
            self.backend.draw_path(path, &style).expect(SURE);
        }
    }

    /// The same, dashed: `on` and `off` are the lengths of dash and gap.
    pub(super) fn dashed(&mut self, places: &[Place], colour: Rgb, width: u32, dash: (f64, f64)) {
        for piece in dashes(places, dash) {
            self.line(&piece, colour, width, 1.0);
        }
    }

    /// A filled shape.
    pub(super) fn polygon(&mut self, places: &[Place], colour: Rgb, opacity: f64) {
        let path: Vec<(i32, i32)> = places.iter().copied().map(grid).collect();
        let style = stroke(colour, 1, opacity);
        self.backend.fill_polygon(path, &style).expect(SURE);
    }

    /// A filled rectangle between two corners.
    pub(super) fn rectangle(&mut self, from: Place, to: Place, colour: Rgb, opacity: f64) {
        let style = stroke(colour, 1, opacity);
        let (from, to) = (grid(from), grid(to));
        self.backend.draw_rect(from, to, &style, true).expect(SURE);
    }

    /// A data point with a thin edge of paper around it, so that it stands out from lines.
    pub(super) fn marker(&mut self, place: Place, style: Style, radius: f64) {
        self.shape(place, style.marker, radius + 3.0, PAPER);
        self.shape(place, style.marker, radius, style.colour);
        if style.hollow {
            self.shape(place, style.marker, radius - 4.0, PAPER);
        }
    }

    /// Words.
    pub(super) fn text(&mut self, text: &str, place: Place, letters: Type) {
        // The backend centres the small letters; figures and capitals look centred lower.
        let lower = f64::from(letters.size) * 0.09;
        let (place, transform) = if letters.upright {
            ((place.0 + lower, place.1), FontTransform::Rotate270)
        } else {
            ((place.0, place.1 + lower), FontTransform::None)
        };
        let h_pos = match letters.align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        // The backend divides by 1.24 to turn a line height into the height of letters.
        let size = f64::from(letters.size) * 1.24;
        let font = FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal);
        let ink = stroke(letters.colour, 1, 1.0).color;
        let style = TextStyle::from(font.transform(transform))
            .color(&ink)
            .pos(Pos::new(h_pos, VPos::Center));
        self.backend
            .draw_text(text, &style, grid(place))
            .expect(SURE);
    }

    fn shape(&mut self, (x, y): Place, marker: Marker, radius: f64, colour: Rgb) {
        let corners = |unit: &[Place], scale: f64| -> Vec<Place> {
            let scaled = unit.iter().map(|(dx, dy)| (x + dx * scale, y + dy * scale));
            scaled.collect()
        };
        let shape = match marker {
            Marker::Circle => {
                let style = stroke(colour, 1, 1.0);
                let radius = libm::round(radius.max(1.0)) as u32;
                let centre = grid((x, y));
                self.backend
                    .draw_circle(centre, radius, &style, true)
                    .expect(SURE);
                return;
            }
            Marker::Square => corners(&[(-1., -1.), (1., -1.), (1., 1.), (-1., 1.)], radius * 0.88),
            Marker::Up => corners(&[(0., -1.), (1., 0.75), (-1., 0.75)], radius * 1.15),
            Marker::Down => corners(&[(0., 1.), (1., -0.75), (-1., -0.75)], radius * 1.15),
            Marker::Diamond => corners(&[(0., -1.), (1., 0.), (0., 1.), (-1., 0.)], radius * 1.25),
            Marker::Pentagon => corners(
                &[
                    (0., -1.),
                    (0.95, -0.31),
                    (0.59, 0.81),
                    (-0.59, 0.81),
                    (-0.95, -0.31),
                ],
                radius * 1.12,
            ),
            Marker::Cross => corners(CROSS, radius * 1.1),
        };
        self.polygon(&shape, colour, 1.0);
    }
}

/// A cross of two thick diagonal bars.
const CROSS: &[Place] = &[
    (0., -0.4),
    (0.6, -1.),
    (1., -0.6),
    (0.4, 0.),
    (1., 0.6),
    (0.6, 1.),
    (0., 0.4),
    (-0.6, 1.),
    (-1., 0.6),
    (-0.4, 0.),
    (-1., -0.6),
    (-0.6, -1.),
];

/// The nearest place of the integer grid. What is far outside is brought to its edge.
fn grid((x, y): Place) -> (i32, i32) {
    let near = |v: f64| libm::round(v.clamp(-1.0e6, 1.0e6)) as i32;
    (near(x), near(y))
}

fn stroke(colour: Rgb, width: u32, opacity: f64) -> ShapeStyle {
    let Rgb(r, g, b) = colour;
    ShapeStyle {
        color: RGBAColor(r, g, b, opacity),
        filled: true,
        stroke_width: width,
    }
}

/// Cuts a broken line into dashes, measured along the line.
fn dashes(places: &[Place], (on, off): (f64, f64)) -> Vec<Vec<Place>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Place> = places.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in places.windows(2) {
        let ((mut x, mut y), (to_x, to_y)) = (pair[0], pair[1]);
        let mut length = libm::hypot(to_x - x, to_y - y);
        while length > left {
            (x, y) = (
                x + (to_x - x) * left / length,
                y + (to_y - y) * left / length,
            );
            length -= left;
            piece.push((x, y));
            if drawing {
                pieces.push(std::mem::take(&mut piece));
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
            piece = vec![(x, y)];
        }
        left -= length;
        piece.push((to_x, to_y));
    }
    if drawing && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// A text as it stands in XML and HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::theme::INK;

    #[test]
    fn dashes_cover_their_share_of_the_line() {
        let pieces = dashes(&[(0.0, 0.0), (100.0, 0.0), (100.0, 50.0)], (20.0, 10.0));
        let length = |piece: &Vec<Place>| {
            let steps = piece.windows(2);
            steps
                .map(|p| libm::hypot(p[1].0 - p[0].0, p[1].1 - p[0].1))
                .sum::<f64>()
        };
        assert_eq!(pieces.len(), 5);
        assert!(
            pieces
                .iter()
                .all(|piece| (length(piece) - 20.0).abs() < 1e-9)
        );
        assert_eq!(
            pieces[3],
            [(90.0, 0.0), (100.0, 0.0), (100.0, 10.0)],
            "around the corner"
        );
        assert!(dashes(&[], (1.0, 1.0)).is_empty());
    }

    #[test]
    fn a_picture_scales_and_names_itself() {
        let svg = paint((100, 50), "a < b", |canvas| {
            canvas.text("x & y", (1.0, 2.0), Type::new(20, INK));
        });
        assert!(
            svg.starts_with("<svg width=\"100%\" role=\"img\" viewBox=\"0 0 100 50\""),
            "{svg}"
        );
        assert!(svg.contains("<title>a &lt; b</title>"), "{svg}");
        assert!(
            svg.contains("x &amp; y") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
    }

    #[test]
    fn long_texts_are_wrapped_and_cut() {
        let letters = Type::new(10, INK);
        let lines = letters.wrap("one two three four five six", 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…') && lines.iter().all(|line| letters.width(line) <= 66.0));
        assert_eq!(letters.wrap("one", 60.0, 2), ["one"]);
        let hyphens = letters.wrap("a, one-two-three-four", 60.0, 2);
        assert_eq!(hyphens, ["a, one-two-", "three-four"]);
        assert_eq!(letters.wrap("a one-two", 60.0, 2), ["a one-two"]);
        assert!(letters.wrap("", 60.0, 2).is_empty());
    }
}
