//! A page of pictures in rows and titled columns.

use std::path::Path;

use crate::error::{Error, Result};
use crate::viz::canvas::PAPER;
use crate::viz::picture::Picture;
use crate::viz::text::{HEADING, NOTE, TITLE, paragraph};

/// Pictures narrower than this many pixels are magnified.
const MIN_PICTURE_WIDTH: usize = 96;

/// Room for the title and the footer where there are few columns, in pixels.
const MIN_PAGE_WIDTH: usize = 320;

/// White space around the page and between its parts, in pixels.
const MARGIN: usize = 20;

/// White space between two pictures, in pixels.
const GAP: usize = 10;

/// Pictures of one size in rows, under a title and column titles and over a footer.
///
/// Small pictures are magnified by a whole factor so that a column is at least 96 pixels wide; large
/// ones keep their size.
#[derive(Debug, Clone)]
pub struct PictureGrid {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Picture>>,
    footer: String,
}

impl PictureGrid {
    /// A page without rows. A title that is too long for its column is broken into lines.
    pub fn new(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title: title.into(), columns, rows: Vec::new(), footer: String::new() }
    }

    /// Adds a paragraph to the footer.
    pub fn with_footer(mut self, paragraph: impl AsRef<str>) -> Self {
        if !self.footer.is_empty() {
            self.footer.push('\n');
        }
        self.footer.push_str(paragraph.as_ref());
        self
    }

    /// Adds a row of one picture per column.
    ///
    /// # Errors
    ///
    /// When there are more or fewer pictures than columns, or one differs in size from the first.
    pub fn push_row(&mut self, pictures: Vec<Picture>) -> Result<()> {
        if pictures.len() != self.columns.len() || pictures.is_empty() {
            return Err(Error::config(format!(
                "a row of this grid needs one picture for each of its {} columns, got {}",
                self.columns.len(),
                pictures.len()
            )));
        }
        let size = |picture: &Picture| (picture.width(), picture.height());
        let first = &self.rows.first().unwrap_or(&pictures)[0];
        if let Some(other) = pictures.iter().find(|picture| size(picture) != size(first)) {
            return Err(Error::config(format!(
                "all pictures of a grid have one size, got {other:?} after {first:?}"
            )));
        }
        self.rows.push(pictures);
        Ok(())
    }

    /// The pictures that were added so far.
    pub fn rows(&self) -> &[Vec<Picture>] {
        &self.rows
    }

    /// The whole page as a picture.
    ///
    /// # Errors
    ///
    /// When there is no row, a picture has no pixel, or a text cannot be drawn.
    pub fn render(&self) -> Result<Picture> {
        let layout = Layout::of(self)?;
        let mut page = Picture::filled(layout.width, layout.height, PAPER);
        page.paste(&layout.title, MARGIN, MARGIN);
        for (index, heading) in layout.headings.iter().enumerate() {
            let y = layout.rows_top - GAP - heading.height();
            page.paste(heading, layout.column_left(index), y);
        }
        let inset = (layout.column_width - layout.picture_width) / 2;
        for (row, pictures) in self.rows.iter().enumerate() {
            let y = layout.rows_top + row * (layout.picture_height + GAP);
            for (column, picture) in pictures.iter().enumerate() {
                let x = layout.column_left(column) + inset;
                page.paste(&picture.magnified(layout.factor), x, y);
            }
        }
        page.paste(&layout.footer, MARGIN, layout.height - MARGIN - layout.footer.height());
        Ok(page)
    }

    /// Writes the page to the PNG file `path`: complete under its name, or not at all.
    ///
    /// # Errors
    ///
    /// When [`Self::render`] or [`Picture::save`] fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.render()?.save(path)
    }
}

/// The layout of the page, in pixels.
struct Layout {
    title: Picture,
    headings: Vec<Picture>,
    footer: Picture,
    factor: usize,
    picture_width: usize,
    picture_height: usize,
    column_width: usize,
    rows_top: usize,
    width: usize,
    height: usize,
}

impl Layout {
    fn of(grid: &PictureGrid) -> Result<Self> {
        let Some(picture) = grid.rows.first().map(|row| &row[0]) else {
            return Err(Error::config(format!("the picture grid '{}' has no row", grid.title)));
        };
        let factor = magnification(picture)?;
        let (picture_width, picture_height) = (picture.width() * factor, picture.height() * factor);
        let headings = headings(&grid.columns, picture_width)?;
        let column_width = headings[0].width();
        let columns_width = headings.len() * (column_width + GAP) - GAP;
        let text_width = columns_width.max(MIN_PAGE_WIDTH);
        let title = paragraph(&grid.title, TITLE, text_width)?;
        let footer = paragraph(&grid.footer, NOTE, text_width)?;
        let rows_top = MARGIN + title.height() + GAP + headings[0].height() + GAP;
        let rows_bottom = rows_top + grid.rows.len() * (picture_height + GAP) - GAP;
        Ok(Self {
            width: MARGIN + title.width().max(footer.width()) + MARGIN,
            height: rows_bottom + GAP + footer.height() + MARGIN,
            title,
            headings,
            footer,
            factor,
            picture_width,
            picture_height,
            column_width,
            rows_top,
        })
    }

    fn column_left(&self, column: usize) -> usize {
        MARGIN + column * (self.column_width + GAP)
    }
}

/// The whole factor that makes `picture` wide enough.
///
/// # Errors
///
/// When the picture has no pixel.
pub(super) fn magnification(picture: &Picture) -> Result<usize> {
    if picture.width() == 0 || picture.height() == 0 {
        return Err(Error::config(format!("{picture:?} has no pixel to show")));
    }
    Ok(MIN_PICTURE_WIDTH.div_ceil(picture.width()))
}

/// The columns' titles, all of one size, at least `width` wide.
fn headings(columns: &[String], width: usize) -> Result<Vec<Picture>> {
    let at = |width| {
        columns.iter().map(|title| paragraph(title, HEADING, width)).collect::<Result<Vec<_>>>()
    };
    let widest = at(width)?.iter().map(Picture::width).fold(width, usize::max);
    let titles = at(widest)?;
    let height = titles.iter().map(Picture::height).fold(0, usize::max);
    let standing_on_the_last_line = |title: &Picture| {
        let mut heading = Picture::filled(widest, height, PAPER);
        heading.paste(title, 0, height - title.height());
        heading
    };
    Ok(titles.iter().map(standing_on_the_last_line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(columns: &[&str], pictures: &[Picture]) -> PictureGrid {
        let mut grid = PictureGrid::new("Title", columns.iter().copied()).with_footer("Footer.");
        grid.push_row(pictures.to_vec()).unwrap();
        grid
    }

    #[test]
    fn small_pictures_are_magnified_by_a_whole_factor_and_large_ones_are_kept() {
        let factor = |width| magnification(&Picture::filled(width, 8, PAPER)).unwrap();
        assert_eq!([8, 32, 33, 95, 96, 224].map(factor), [12, 3, 3, 2, 1, 1]);
    }

    #[test]
    fn every_picture_stands_whole_under_its_column() {
        let colors = [[10, 20, 30], [40, 50, 60]];
        let pictures = colors.map(|color| Picture::filled(100, 40, color));
        let mut grid = grid(&["left", "right"], &pictures);
        grid.push_row(pictures.to_vec()).unwrap();
        let page = grid.render().unwrap();
        for (color, left) in colors.into_iter().zip([MARGIN, MARGIN + 100 + GAP]) {
            let pixels = (0..page.height()).flat_map(|y| (0..page.width()).map(move |x| (x, y)));
            let columns: Vec<usize> =
                pixels.filter(|&(x, y)| page.pixel(x, y) == color).map(|(x, _)| x).collect();
            assert_eq!(columns.len(), 2 * 100 * 40);
            assert_eq!(columns.iter().min(), Some(&left));
            assert_eq!(columns.iter().max(), Some(&(left + 99)));
        }
    }

    #[test]
    fn a_long_column_title_makes_room_for_itself() {
        let picture = [Picture::filled(96, 96, PAPER)];
        let width =
            |title| grid(&[title; 4], &[&picture[..]; 4].concat()).render().unwrap().width();
        let word = "incomprehensibilities";
        assert!(width(word) > width("short"));
    }

    #[test]
    fn rows_of_another_length_or_size_are_errors_that_name_both() {
        let small = Picture::filled(4, 4, PAPER);
        let mut grid = grid(&["a", "b"], &[small.clone(), small.clone()]);
        let message = grid.push_row(vec![small.clone()]).unwrap_err().to_string();
        assert!(message.contains("2 columns, got 1"), "{message}");
        let large = Picture::filled(5, 4, PAPER);
        let message = grid.push_row(vec![small, large]).unwrap_err().to_string();
        assert!(message.contains("5×4") && message.contains("4×4"), "{message}");
        assert_eq!(grid.rows().len(), 1);
    }

    #[test]
    fn a_grid_with_nothing_to_show_is_an_error() {
        let message = PictureGrid::new("Empty", ["a"]).render().unwrap_err().to_string();
        assert!(message.contains("'Empty' has no row"), "{message}");
        assert!(grid(&["a"], &[Picture::filled(0, 3, PAPER)]).render().is_err());
        assert!(PictureGrid::new("", Vec::<String>::new()).push_row(Vec::new()).is_err());
    }

    #[test]
    fn a_saved_grid_has_the_size_it_renders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let grid = grid(&["a"], &[Picture::filled(32, 32, [0; 3])]);
        grid.save(&path).unwrap();
        let page = grid.render().unwrap();
        let size = image::image_dimensions(path).unwrap();
        assert_eq!(size, (page.width() as u32, page.height() as u32));
    }
}
