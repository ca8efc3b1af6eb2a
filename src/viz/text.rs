//! Lines and paragraphs of text as pictures.

use std::sync::Once;

use plotters::prelude::{FontDesc, FontFamily, FontStyle, IntoFont, RGBColor, Text};
use plotters::style::register_font;

use crate::error::Result;
use crate::viz::canvas::{self, PAPER};
use crate::viz::picture::Picture;

/// How a paragraph looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    /// Height of a line's letters in pixels, from accents to descenders.
    pub size: usize,
    /// Red, green and blue.
    pub color: [u8; 3],
    /// The alignment of lines that are shorter than the paragraph.
    pub align: Align,
}

/// The alignment of a short line in its paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// At the left.
    Left,
    /// In the middle.
    Center,
}

/// Dark, for a title.
pub(super) const TITLE: TextStyle = TextStyle { size: 20, color: [33, 37, 41], align: Align::Left };

/// Smaller, centered over a column.
pub(super) const HEADING: TextStyle =
    TextStyle { size: 15, color: [73, 80, 87], align: Align::Center };

/// Smaller still, for footers and legends.
pub(super) const NOTE: TextStyle =
    TextStyle { size: 14, color: [108, 117, 125], align: Align::Left };

/// The bundled font for letters `size` fine pixels high.
///
/// The font has the characters of the Latin and Greek scripts and of mathematics; any other
/// character is drawn as a box.
pub(super) fn font(size: u32) -> FontDesc<'static> {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        let roboto = include_bytes!("font/Roboto-Regular-subset.ttf");
        // If this fails, drawing reports that there is no font.
        let _ = register_font("sans-serif", FontStyle::Normal, roboto);
    });
    // The font has a general name, because plotters looks for the system's fonts instead if another
    // crate switches on its `ttf` feature, and those have general names only.
    (FontFamily::SansSerif, size).into_font()
}

/// `text` in lines of at most `width` pixels, broken between words and at line ends.
///
/// The picture is `width` wide, or as wide as the longest word where that is wider.
///
/// # Errors
///
/// When the text cannot be drawn.
pub(super) fn paragraph(text: &str, style: TextStyle, width: usize) -> Result<Picture> {
    let mut lines = Vec::new();
    for part in text.lines() {
        lines.append(&mut wrapped(part, style.size, width)?);
    }
    let lines = lines.iter().map(|words| line(words, style)).collect::<Result<Vec<_>>>()?;
    let width = lines.iter().map(Picture::width).fold(width, usize::max);
    let spacing = style.size * 5 / 4;
    let mut page = Picture::filled(width, lines.len() * spacing, PAPER);
    for (index, line) in lines.iter().enumerate() {
        let x = match style.align {
            Align::Left => 0,
            Align::Center => (width - line.width()) / 2,
        };
        page.paste(line, x, index * spacing);
    }
    Ok(page)
}

/// `text` on one line, as wide as it needs.
///
/// # Errors
///
/// When the text cannot be drawn.
pub(super) fn line(text: &str, style: TextStyle) -> Result<Picture> {
    let [red, green, blue] = style.color;
    let font = font(canvas::fine(style.size));
    let (width, height) = (line_width(text, style.size)?, style.size * 5 / 4);
    canvas::draw(width, height, |area| {
        // plotters puts the base line half a size below the given point, so that accents would
        // stick out at the top.
        let top = (canvas::fine(style.size) * 2 / 5) as i32;
        area.draw(&Text::new(text, (0, top), font.color(&RGBColor(red, green, blue))))?;
        Ok(())
    })
}

/// Width in pixels of `text` on one line.
fn line_width(text: &str, size: usize) -> Result<usize> {
    let (width, _) = font(canvas::fine(size)).box_size(text).map_err(|e| canvas::fault(&e))?;
    Ok((width.div_ceil(canvas::fine(1)) + 1) as usize)
}

/// The lines of `text` that fit into `width` pixels each; a longer word has a line of its own.
fn wrapped(text: &str, size: usize, width: usize) -> Result<Vec<String>> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
            continue;
        }
        let longer = format!("{} {word}", lines[last]);
        if line_width(&longer, size)? <= width {
            lines[last] = longer;
        } else {
            lines.push(word.into());
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blank(picture: &Picture, y: usize) -> bool {
        (0..picture.width()).all(|x| picture.pixel(x, y) == PAPER)
    }

    #[test]
    fn accents_and_descenders_stay_within_the_line() {
        let picture = line("ÅÉjgy|", TITLE).unwrap();
        assert!(is_blank(&picture, picture.height() - 1));
        assert!(is_blank(&picture, 0));
        assert!((0..picture.height()).any(|y| !is_blank(&picture, y)));
    }

    #[test]
    fn lines_break_between_words_and_keep_all_of_them() {
        let text = "predictions of the hidden patches only";
        let lines = wrapped(text, 14, 100).unwrap();
        assert!(lines.len() > 2, "{lines:?}");
        assert!(lines.iter().all(|line| line_width(line, 14).unwrap() <= 100), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn a_paragraph_is_as_wide_as_told_or_as_its_longest_word() {
        let narrow = paragraph("a reconstruction", NOTE, 10).unwrap();
        assert_eq!(narrow.width(), line_width("reconstruction", NOTE.size).unwrap());
        let wide = paragraph("a reconstruction\nof it", NOTE, 300).unwrap();
        assert_eq!((wide.width(), wide.height()), (300, 2 * 17));
        assert_eq!(paragraph("", NOTE, 30).unwrap(), Picture::filled(30, 0, PAPER));
    }

    #[test]
    fn a_sign_that_the_font_lacks_is_drawn_as_a_box() {
        assert!(line("猫", NOTE).unwrap().width() > 3);
    }
}
