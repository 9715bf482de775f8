//! The raster image of a picture, from the very same SVG.
//!
//! The font is embedded and no other is looked for: the image does not depend on what is
//! installed.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::Error;

/// DejaVu Sans, reduced to Latin, Greek and a few signs; its licence lies beside it.
const FONT: &[u8] = include_bytes!("DejaVuSans-subset.ttf");

/// Renders a picture in its own size.
///
/// # Errors
/// If the text is no SVG, or has no size that can be held.
pub(super) fn render(svg: &str) -> Result<Vec<u8>, Error> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = Options {
        fontdb: Arc::new(fonts),
        font_family: "DejaVu Sans".to_owned(),
        ..Options::default()
    };
    let failed = |reason: String| Error::Image { reason };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size();
    let image = Pixmap::new(size.width(), size.height());
    let mut image = image.ok_or_else(|| failed("the picture has no size".to_owned()))?;
    resvg::render(&tree, Transform::default(), &mut image.as_mut());
    image
        .encode_png()
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters leave ink: the embedded font is found under the name that the pictures use.
    #[test]
    fn words_are_drawn_with_the_embedded_font() {
        let svg = |text: &str| {
            format!(
                "<svg width=\"100%\" viewBox=\"0 0 200 50\" xmlns=\"http://www.w3.org/2000/svg\">\
                 <text x=\"5\" y=\"30\" font-family=\"DejaVu Sans, sans-serif\">{text}</text></svg>"
            )
        };
        let (empty, word) = (render(&svg("")).unwrap(), render(&svg("Raft")).unwrap());
        assert_ne!(empty, word);
        assert_eq!(word, render(&svg("Raft")).unwrap(), "twice the same bytes");
        assert_ne!(
            render(&svg("\u{3bb}")).unwrap(),
            render(&svg("\u{2212}")).unwrap()
        );
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(render("").is_err());
        assert!(render("<svg").is_err());
    }
}
