//! Pictures for people: reconstruction sheets and loss curves, drawn on the host.
//!
//! Everything ends as a [`Picture`], a small RGB image that is magnified, pasted and saved as a PNG
//! file. A [`PictureGrid`] lays pictures out under column titles; [`ReconstructionSheet`] is that grid
//! for masked images, and [`reconstruction_sheet`] fills it from a model. [`LossCurve`] is the one
//! chart.

mod canvas;
mod chart;
mod curve;
mod depiction;
mod images;
mod line;
mod picture;
mod picture_grid;
mod png;
mod reconstruct;
mod sheet;
mod text;

pub use curve::LossCurve;
pub use depiction::depiction_sheet;
pub(crate) use depiction::masked;
pub use images::pictures;
pub use line::EpochValue;
pub use picture::Picture;
pub use picture_grid::PictureGrid;
pub use reconstruct::reconstruction_sheet;
pub use sheet::{ReconstructionSheet, SheetRow};
